"""A table as a frame, and an encoder that embeds it as the studies do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import scmmlab
from scmmlab.api.table import Table
from scmmlab.errors import CorpusError, ScmmlabError, SpecError
from scmmlab.methods.scmm.encoder import encode
from scmmlab.methods.scmm.parameters import encoder_sizes
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.windows import Scaling
from scmmlab.study import pretrain_request
from scmmlab.tables import read_table
from scmmlab.training.data import Selections, pretrain_data

pytestmark = pytest.mark.slow

CELL = "full/source-to-target/1"


@pytest.fixture(scope="module")
def encoder(ablation_run):
    return ablation_run.study.encoder(CELL)


@pytest.fixture(scope="module")
def target(ablation_run) -> Table:
    return Table.open(ablation_run.study.spec.transfers[0].target.table)


def by_the_model(study, name: str, table: Table) -> torch.Tensor:
    """What the model's own function makes of stored tensors and of windows scaled as in pre-training."""
    (cell,) = (cell for cell in study.resolved.cells if f"{cell.variant}/{cell.transfer.name}/{cell.seed}" == name)
    tensors = study.store.get_pretrain(cell.pretrain_key).tensors
    sizes = {name: tensor.shape for name, tensor in tensors.items()}
    scaler = pretrain_data(pretrain_request(cell), Selections(read_table)).scaler
    shape = study.encoder(name).shape
    assert encoder_sizes(shape) == {name: tuple(sizes[name]) for name in encoder_sizes(shape)}
    parameters = Parameters(encoder_sizes(shape), 1, "cpu", torch.float32)
    parameters.load_replica(0, {name: torch.from_numpy(tensor.copy()) for name, tensor in tensors.items()})
    x = Scaling.stack([scaler], "cpu", torch.float32).apply(torch.from_numpy(table.features.copy())[None])
    return encode(parameters, x, False)[0]


@pytest.mark.parametrize("variant", ["full", "released"])
def test_the_embedding_is_the_models_to_the_last_bit(ablation_run, target: Table, variant: str) -> None:
    name = f"{variant}/source-to-target/1"
    embedded = ablation_run.study.encoder(name).embed(target)
    assert np.array_equal(embedded.to_numpy(), by_the_model(ablation_run.study, name, target).numpy())
    assert embedded.shape == (len(target), 48)


def test_rows_are_known_by_subject_session_trial_window_and_label(encoder, target: Table) -> None:
    embedded = encoder.embed(target)
    assert embedded.index.names == ["subject", "session", "trial", "window", "label"]
    assert embedded.index.equals(target.to_frame().index)
    rows = target.windows
    (where,) = np.flatnonzero((rows.subject == 2) & (rows.trial == 3) & (rows.window == 4))
    assert np.array_equal(embedded.loc[[(2, 1, 3, 4, "tense")]].to_numpy(), embedded.to_numpy()[[where]])
    # what a window becomes depends on no other
    part = target.select(subjects=[2])
    assert np.allclose(encoder.embed(part).to_numpy(), embedded.loc[2:2].to_numpy(), atol=1e-6)


def test_a_table_is_named_or_handed_over(ablation_run, encoder, target: Table) -> None:
    embedded = encoder.embed(target)
    location = ablation_run.study.spec.transfers[0].target.table
    assert encoder.embed(location).equals(embedded)
    assert encoder.embed(target.windows).equals(embedded)
    before = target.features.copy()
    encoder.embed(target)
    assert np.array_equal(target.features, before)


def test_it_is_a_module_of_torch_that_computes_the_same_and_learns(ablation_run, target: Table) -> None:
    encoder = ablation_run.study.encoder(CELL)
    stored = ablation_run.study.store.get_pretrain(ablation_run.study.resolved.cells[1].pretrain_key).tensors
    assert all(np.array_equal(tensor.numpy(), stored[name]) for name, tensor in encoder.state_dict().items())
    x = torch.from_numpy(encoder.scaler.transform(target.features))
    before = encoder.embed(target).to_numpy()
    assert np.allclose(encoder(x).detach().numpy(), before, atol=1e-4)
    encoder.train()
    encoder(x).square().sum().backward()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter -= 0.1 * parameter.grad
    encoder.eval()
    after = encoder.embed(target).to_numpy()
    assert not np.allclose(after, before, atol=1e-3)
    assert np.allclose(encoder(x).detach().numpy(), after, atol=1e-4, rtol=1e-4)


def test_a_cell_without_pre_training_has_no_encoder(ablation_run) -> None:
    with pytest.raises(SpecError, match="has no pre-training, and so no encoder"):
        ablation_run.study.encoder("no_pretraining/source-to-target/0")


def test_features_that_are_not_the_sources_are_refused(encoder, target: Table) -> None:
    windows = target.windows
    other = windows.manifest.model_copy(update={"unit": "dB"})
    with pytest.raises(CorpusError, match="unit"):
        encoder.embed(replace(windows, manifest=other))
    with pytest.raises(CorpusError, match="has no channel Oz"):
        encoder.embed(windows.with_channels(("Pz", "Cz", "Fz")))
    with pytest.raises(CorpusError, match="There is no feature table in"):
        encoder.embed("nowhere")
    # channels may stand in another order
    assert encoder.embed(windows.with_channels(("Oz", "Pz", "Cz", "Fz"))).equals(encoder.embed(target))


def test_a_table_says_what_it_holds() -> None:
    table = scmmlab.read_table("shipped:eegmat")
    frame = table.to_frame()
    assert repr(table) == "<Table 'eegmat': 4392 windows of 36 subjects, 19 channels × 5 bands>"
    assert frame.shape == (len(table), 95) == (4392, 95)
    assert frame.columns.names == ["channel", "band"]
    assert np.array_equal(frame["O1"]["alpha"], table.features[:, table.channels.index("O1"), 2])
    assert frame.index.get_level_values("label").value_counts().sum() == 4392
    labels = np.array(table.classes)[table.windows.label]
    assert (frame.index.get_level_values("label") == labels).all()
    assert "36: 0-35" in table._repr_html_()
    part = table.select(subjects="3-4", classes=[table.classes[1]])
    assert part.subjects == (3, 4)
    assert part.classes == (table.classes[1],)
    assert part.fingerprint == table.fingerprint
    for wrong, sentence in (({"subject": 3}, "Unknown key 'subject'"), ({"subjects": [77]}, "must be among 0-35")):
        with pytest.raises(ScmmlabError, match=sentence):
            table.select(**wrong)
    with pytest.raises(CorpusError, match="did you mean 'shipped:eegmat'"):
        Table.open("shipped:egmat")
