"""RGNN: its links, its soft labels, what it refuses, and the numbers of a public implementation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_files import altered, arrays_of
from training_cases import CHANNELS, TABLES_OF, TRANSFER, Reporter, make_table

from scmmlab.config import ExperimentSpec, resolve_variant
from scmmlab.corpora.deap_facts import CHANNELS as DEAP
from scmmlab.errors import CorpusError, SpecError
from scmmlab.methods.contract import InputShape
from scmmlab.methods.gradient_reversal import reversal_strength, reverse_gradient
from scmmlab.methods.rgnn.emotion_labels import soft_labels
from scmmlab.methods.rgnn.links import initial_adjacency, present_cross_links, triangle_places
from scmmlab.methods.rgnn.network import RgnnNetwork
from scmmlab.methods.rgnn.spec import RgnnSpec
from scmmlab.methods.verification import verify_file
from scmmlab.replica.parameters import Parameters
from scmmlab.study.checks import check_experiment
from scmmlab.training import CellRequest
from scmmlab.training.stages import run_cell_stage

FOLDER = Path(__file__).parent.parent / "golden" / "methods"
FILES = ["emotion_dl", "rgnn", "rgnn_adjacency", "rgnn_nodedat"]


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_golden_vectors(name, pack):
    checks = verify_file(FOLDER / f"{name}.npz", pack=pack)
    assert [check for check in checks if not check.ok] == []
    assert {check.tolerance for check in checks} <= {1e-10, 0.0}


@pytest.mark.parametrize(("file", "name"), [(file, name) for file in FILES for name in arrays_of(FOLDER, file)])
def test_one_altered_number_is_found(file, name, tmp_path):
    path = altered(FOLDER / f"{file}.npz", tmp_path, name)
    try:
        checks = verify_file(path)
    except (CorpusError, SpecError):
        return
    assert not all(check.ok for check in checks)


def network(**settings):
    return RgnnNetwork(RgnnSpec(hidden=4, dropout=0.0, **settings), InputShape(3, 5, 2, CHANNELS))


def features_of(own, x_RBCF):
    parameters = Parameters(own.sizes(), len(x_RBCF), "cpu", torch.float64)
    own.initialise(parameters, torch.tensor([0]))
    return own.node_features({name: parameters[name] for name in parameters.names}, x_RBCF)


@pytest.mark.parametrize("adjacency", ["learned", "distance", "identity"])
def test_an_electrode_sees_others_through_the_graph_alone(adjacency):
    own = network(adjacency=adjacency)
    x = torch.rand(1, 6, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 1:] += 1
    assert torch.equal(features_of(own, x)[:, :, 0], features_of(own, changed)[:, :, 0]) == (adjacency == "identity")


def predictions(**settings):
    spec = {"method": "rgnn", "hidden": 4, "finetune": {"epochs": 3, "batch_size": 16}, **settings}
    request = CellRequest("c", ExperimentSpec.model_validate(spec), 0, TRANSFER, CHANNELS, None)
    (output,) = run_cell_stage([request], TABLES_OF, Reporter())
    return output.tensors, [fold["model"] for fold in output.record["folds"]]


def test_no_graph_is_a_depth_of_zero_to_the_last_bit():
    (without, models), (shallow, same) = predictions(adjacency="identity", depth=3), predictions(depth=0)
    assert models == same
    for name, tensor in without.items():
        np.testing.assert_array_equal(tensor, shallow[name], err_msg=name)
    assert predictions()[1] != models, "the graph is no ornament"


def test_links_stay_symmetric_and_each_is_penalised_once():
    places = triangle_places(4)
    assert torch.equal(places, places.T)
    assert torch.equal(places[tuple(torch.tril_indices(4, 4))], torch.arange(10)), "row by row"
    own = network(l1=0.5)
    parameters = Parameters(own.sizes(), 1, "cpu", torch.float64)
    parameters["adjacency_lower"].copy_(torch.tensor([[1.0, -2, 0, 3, 4, 5]]))
    assert float(own.penalise(parameters)) == 0.5 * 15
    assert parameters.gradients["adjacency_lower"].tolist() == [[0.5, -0.5, 0, 0.5, 0.5, 0.5]]


def test_electrodes_without_links_are_left_out_and_break_nothing():
    lower = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    s = network().propagation({"adjacency_lower": lower}, lower)
    (gradient,) = torch.autograd.grad(s.sum(), lower)
    assert torch.equal(s, torch.zeros_like(s))
    assert bool(gradient.isfinite().all())


def test_the_32_channels_of_deap_have_five_cross_links_of_negative_weight():
    pairs = present_cross_links(DEAP, "adjacency")
    assert [(DEAP[a], DEAP[b]) for a, b in pairs] == [
        ("Fp1", "Fp2"),
        ("AF3", "AF4"),
        ("FC5", "FC6"),
        ("CP5", "CP6"),
        ("O1", "O2"),
    ]
    plain, linked = (initial_adjacency(DEAP, cross, "adjacency") for cross in (False, True))
    assert plain.min() > 0
    assert np.count_nonzero(linked < 0) == 10
    assert np.array_equal(linked, linked.T)


@pytest.mark.parametrize("classes", [2, 3, 4, 5])
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.6])
def test_soft_labels_are_distributions_about_their_class(classes, noise):
    soft = soft_labels(classes, noise)
    torch.testing.assert_close(soft.sum(1), torch.ones(classes, dtype=torch.float64))
    assert soft.min() >= 0
    assert torch.equal(soft.argmax(1), torch.arange(classes))
    assert torch.equal(soft, torch.eye(classes, dtype=torch.float64)) == (noise == 0 or classes not in (3, 4))


def test_without_noise_the_loss_is_cross_entropy():
    logits = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    label, real = torch.tensor([[0, 1, 2, 0, 1]] * 2), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    own = RgnnNetwork(RgnnSpec(noise=0.0), InputShape(3, 5, 3, CHANNELS)).loss(logits, label, real)
    for r, rows in enumerate((5, 3)):
        expected = torch.nn.functional.cross_entropy(logits[r, :rows], label[r, :rows])
        torch.testing.assert_close(own[r], expected)


def test_reversed_gradients_are_those_of_what_follows_times_minus_beta():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (gradient,) = torch.autograd.grad((reverse_gradient(x, 0.25) ** 2).sum(), x)
    assert gradient.tolist() == [-0.5, -1.0]
    (none,) = torch.autograd.grad((reverse_gradient(x, 0.0) ** 2).sum(), x)
    assert none.tolist() == [0.0, 0.0]
    assert (reversal_strength(0.0), reversal_strength(1.0)) == (0.0, pytest.approx(0.99991, abs=1e-5))


def test_node_dat_is_refused_since_no_protocol_grants_what_it_sees():
    with pytest.raises(SpecError, match=r"'node_dat'.* needs unlabelled windows of the target .* under no protocol"):
        resolve_variant(ExperimentSpec.model_validate({"method": "rgnn"}), {"node_dat": True})
    with pytest.raises(ValueError, match="under no protocol"):
        ExperimentSpec.model_validate({"method": "rgnn", "node_dat": True})


@pytest.mark.parametrize(
    ("classes", "fits"),
    [
        (("negative", "neutral", "positive"), True),
        (("happy", "neutral", "sad"), True),
        (("neutral", "sad", "fear", "happy"), True),
        (("neutral", "sad", "happy"), False),
        (("disgust", "fear", "sad", "neutral", "happy"), False),
    ],
)
def test_noise_is_refused_where_nobody_knows_which_emotions_are_near(classes, fits):
    table = make_table("a").manifest.model_copy(update={"classes": classes})
    spec = ExperimentSpec.model_validate({"method": "rgnn"})
    if fits:
        check_experiment("'rgnn'", spec, TRANSFER, table, table)
    else:
        with pytest.raises(SpecError, match=r"'noise' needs to know which emotions are near"):
            check_experiment("'rgnn'", spec, TRANSFER, table, table)
    check_experiment("'rgnn'", resolve_variant(spec, {"noise": 0.0}), TRANSFER, table, table)
