"""DGCNN: its graph, its twins without one, and the numbers of public implementations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_files import altered, arrays_of
from training_cases import CHANNELS, TABLES_OF, TRANSFER, Reporter, make_table

from scmmlab.config import ExperimentSpec
from scmmlab.errors import CorpusError, SpecError
from scmmlab.methods.contract import InputShape
from scmmlab.methods.dgcnn.network import DgcnnNetwork
from scmmlab.methods.dgcnn.spec import DgcnnSpec
from scmmlab.methods.electrodes import OTHER_NAMES, POSITIONS, distance_weights
from scmmlab.methods.network import Evaluation
from scmmlab.methods.verification import verify_file
from scmmlab.replica.parameters import Parameters
from scmmlab.study.checks import check_experiment
from scmmlab.training import CellRequest
from scmmlab.training.stages import run_cell_stage

FOLDER = Path(__file__).parent.parent / "golden" / "methods"
FILES = sorted(FOLDER.glob("dgcnn_*.npz"))
FORMS = ["paper", "libeer", "torcheeg"]


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_vectors(path, pack):
    checks = verify_file(path, pack=pack)
    assert [check for check in checks if not check.ok] == []
    assert {check.tolerance for check in checks} == {1e-10}


def test_all_five_files_are_here():
    assert len(FILES) == 5


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (file, name)
        for file in ("dgcnn_libeer_32_order_3_corrected", "dgcnn_torcheeg_32")
        for name in arrays_of(FOLDER, file)
    ],
)
def test_one_altered_number_is_found(file, name, tmp_path):
    path = altered(FOLDER / f"{file}.npz", tmp_path, name)
    try:
        checks = verify_file(path)
    except CorpusError:
        return
    assert not all(check.ok for check in checks)


def network(channels=CHANNELS, **settings):
    spec = DgcnnSpec(hidden=4, dense=8, dropout=0.0, **settings)
    return DgcnnNetwork(spec, InputShape(len(channels), 5, 2, tuple(channels)))


def features_of(own, x_RBCF, seed=0):
    """Features of electrodes, before bias and ReLU, by initial parameters."""
    parameters = Parameters(own.sizes(), len(x_RBCF), "cpu", torch.float64)
    own.initialise(parameters, torch.tensor([seed]))
    return own.filtered({name: parameters[name] for name in parameters.names}, x_RBCF)


def windows(channels=3, seed=0):
    return torch.randn(1, 6, channels, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("laplacian", FORMS)
@pytest.mark.parametrize("adjacency", ["learned", "distance", "identity"])
def test_an_electrode_sees_others_through_the_graph_alone(adjacency, laplacian):
    own, x = network(adjacency=adjacency, laplacian=laplacian, order=3), windows()
    changed = x.clone()
    changed[:, :, 1:] += 1
    before, after = features_of(own, x), features_of(own, changed)
    assert torch.equal(before[:, :, 0], after[:, :, 0]) == (adjacency == "identity")


def predictions(**settings):
    spec = {"method": "dgcnn", "hidden": 4, "dense": 8, "finetune": {"epochs": 3, "batch_size": 16}, **settings}
    request = CellRequest("c", ExperimentSpec.model_validate(spec), 0, TRANSFER, CHANNELS, None)
    (output,) = run_cell_stage([request], TABLES_OF, Reporter())
    return output.tensors, [fold["model"] for fold in output.record["folds"]]


@pytest.mark.parametrize("twin", [{"order": 1}, {"order": 1, "adjacency": "distance", "laplacian": "torcheeg"}])
def test_no_graph_is_a_polynomial_of_one_term_to_the_last_bit(twin):
    (without, models), (one_term, same) = predictions(adjacency="identity", order=4), predictions(**twin)
    assert models == same
    for name, tensor in without.items():
        np.testing.assert_array_equal(tensor, one_term[name], err_msg=name)
    assert predictions()[1] != models, "the graph is no ornament"


def test_a_graph_of_self_loops_alone_gives_what_no_graph_gives(monkeypatch):
    """W = I in torcheeg's form: S x = x / (1 + ε), so filters of two terms act as their sum."""
    monkeypatch.setattr("scmmlab.methods.dgcnn.network.distance_weights", lambda names, _: np.eye(len(names)))
    loops, x = network(adjacency="distance", laplacian="torcheeg"), windows()
    parameters = Parameters(loops.sizes(), 1, "cpu", torch.float64)
    loops.initialise(parameters, torch.tensor([0]))
    theta = parameters["theta"].unflatten(1, (2, 5)).sum(1)
    alone = network(adjacency="identity").filtered({"theta": theta}, x)
    torch.testing.assert_close(loops.filtered({"theta": parameters["theta"]}, x), alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_eigenvalues_of_the_papers_matrix_lie_in_the_unit_disc_however_asymmetric_the_graph(seed):
    generator = torch.Generator().manual_seed(seed)
    adjacency = torch.randn(1, 20, 20, generator=generator, dtype=torch.float64)
    names = tuple(POSITIONS)[:20]
    matrix = network(names, laplacian="paper").matrix({"adjacency": adjacency}, adjacency)[0]
    assert float(torch.linalg.eigvals(matrix).abs().max()) <= 1 + 1e-12


def test_an_electrode_without_links_is_left_out_and_breaks_nothing():
    adjacency = -torch.ones(1, 3, 3, dtype=torch.float64, requires_grad=True)
    for form in FORMS:
        tensors = {"adjacency": adjacency, "adjacency_bias": torch.zeros(1, 1, dtype=torch.float64)}
        matrix = network(laplacian=form).matrix(tensors, adjacency)
        (gradient,) = torch.autograd.grad(matrix.sum(), adjacency)
        assert bool(matrix.isfinite().all() and gradient.isfinite().all()), form


def test_sum_of_norms_has_no_gradient_at_zero():
    own = network(sparse_l2=0.5)
    parameters = Parameters(own.sizes(), 2, "cpu", torch.float64)
    assert torch.equal(own.penalise(parameters), torch.zeros(2, dtype=torch.float64))
    assert torch.equal(parameters.gradient, torch.zeros_like(parameters.gradient))


def test_evaluation_drops_nothing():
    own, x = network(), windows()
    parameters = Parameters(own.sizes(), 1, "cpu", torch.float64)
    own.initialise(parameters, torch.tensor([0]))
    tensors = {name: parameters[name] for name in parameters.names}
    assert torch.equal(own.logits(tensors, x, Evaluation(parameters)), own.logits(tensors, x, Evaluation(parameters)))


# --- where electrodes lie --------------------------------------------------------------------------------------------


def test_positions_are_those_of_mne():
    import mne

    montage = "colin27_1005" if "colin27_1005" in mne.channels.get_builtin_montages() else "standard_1005"
    of_mne = mne.channels.make_standard_montage(montage).get_positions()["ch_pos"]
    for name, position in POSITIONS.items():
        np.testing.assert_allclose(position, of_mne[name] * 1000, atol=1e-3, err_msg=name)
    for former in ("T3", "T4", "T5", "T6"):
        np.testing.assert_allclose(POSITIONS[OTHER_NAMES[former]], of_mne[former] * 1000, atol=1e-3)


def test_weights_fall_with_distance_and_names_are_read_in_any_case():
    weights = distance_weights(("FP1", "fp2", "O1", "T3"), "adjacency")
    assert np.array_equal(weights, weights.T)
    assert np.array_equal(np.diag(weights), np.ones(4))
    assert 0 < weights[0, 2] < weights[0, 1] < 1
    distance_cm = np.linalg.norm(np.subtract(POSITIONS["Fp1"], POSITIONS["Fp2"])) / 10
    assert weights[0, 1] == pytest.approx(5 / distance_cm**2)


def test_a_channel_that_lies_nobody_knows_where_is_refused_before_anything_starts():
    table = make_table("a").manifest.model_copy(update={"channels": ("Fp1", "EXG1", "Cz")})
    spec = ExperimentSpec.model_validate({"method": "dgcnn", "adjacency": "distance"})
    with pytest.raises(SpecError, match=r"'graph' cannot be used on transfer 'a-b': .*10-10 system, found 'EXG1'"):
        check_experiment("'graph'", spec, TRANSFER, table, table)
    without = ExperimentSpec.model_validate({"method": "dgcnn", "adjacency": "identity"})
    check_experiment("'none'", without, TRANSFER, table, table)
