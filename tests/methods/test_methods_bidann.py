"""BiDANN: sequences within trials, hemispheres, what it refuses, and the numbers of a public implementation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_files import altered, arrays_of
from training_cases import CHANNELS, TABLES_OF, TARGET, TRANSFER, Reporter, make_table, tables_with, with_columns

from scmmlab.config import ExperimentSpec, resolve_variant
from scmmlab.corpora.eegmat import CHANNELS as EEGMAT
from scmmlab.errors import CorpusError, SpecError
from scmmlab.evaluation import make_folds
from scmmlab.methods.bidann.hemispheres import hemispheres
from scmmlab.methods.bidann.recurrent import lstm, lstm_sizes
from scmmlab.methods.sequences import first_rows, sequence_rows
from scmmlab.methods.verification import verify_file
from scmmlab.replica.windows import WindowPool
from scmmlab.study.checks import check_experiment
from scmmlab.training import CellRequest
from scmmlab.training.data import Selections, cell_data
from scmmlab.training.stages import run_cell_stage

FOLDER = Path(__file__).parent.parent / "golden" / "methods"
FILES = ["bidann_corrected", "bidann_released_bug"]
SMALL = {"hidden": 4, "time_slots": 2, "dense": 8, "dense_last": 4, "finetune": {"epochs": 2, "batch_size": 16}}


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_golden_vectors(name, pack):
    checks = verify_file(FOLDER / f"{name}.npz", pack=pack)
    assert [check for check in checks if not check.ok] == []
    after_adam = {check.quantity for check in checks if check.tolerance == 1e-6}
    assert len(after_adam) == (3 if name == "bidann_corrected" else 0)
    assert {check.tolerance for check in checks} <= {0.0, 1e-10, 1e-6}


def one_of_each(file):
    """One array of each kind, and all that stand alone."""
    kinds = {}
    for name in arrays_of(FOLDER, file):
        kinds.setdefault(name.rpartition("/")[0] or name, []).append(name)
    kinds |= {name: [name] for name in kinds.pop("eval") + kinds.pop("train")}
    return [names[len(names) // 2] for names in kinds.values()]


@pytest.mark.parametrize(("file", "name"), [(file, name) for file in FILES for name in one_of_each(file)])
def test_one_altered_number_is_found(file, name, tmp_path):
    path = altered(FOLDER / f"{file}.npz", tmp_path, name)
    try:
        checks = verify_file(path)
    except CorpusError:
        return
    assert not all(check.ok for check in checks)


# --- hemispheres -----------------------------------------------------------------------------------------------------


def test_channels_of_another_montage_are_divided_too():
    left, right = hemispheres(EEGMAT)
    assert sorted(left + right) == list(range(len(EEGMAT)))
    assert [EEGMAT[place] for place in left[-2:]] == ["Fz", "Pz"]
    assert [EEGMAT[place] for place in right[-1:]] == ["Cz"]
    pairs = [(EEGMAT[a], EEGMAT[b]) for a, b in zip(left, right, strict=False)][:8]
    assert ("F7", "F8") in pairs
    assert ("O1", "O2") in pairs


def test_a_montage_of_one_side_is_refused_before_anything_starts():
    table = make_table("a").manifest.model_copy(update={"channels": ("Fp1", "F3", "C3")})
    spec = ExperimentSpec.model_validate({"method": "bidann"})
    with pytest.raises(SpecError, match=r"channels on both sides of the head, found 3 on the left and 0 on the right"):
        check_experiment("'bidann'", spec, TRANSFER, table, table)


# --- sequences -------------------------------------------------------------------------------------------------------


def test_sequences_end_with_their_window_and_never_cross_trials():
    request = CellRequest("c", ExperimentSpec.model_validate({"method": "bidann"}), 0, TRANSFER, CHANNELS, None)
    folds = cell_data(request, Selections(TABLES_OF)).folds
    pool = WindowPool(
        [array for own in folds for array in (own.seen_features, own.test_features)], "cpu", torch.float32
    )
    rows = torch.arange(len(TARGET))[None]
    sequences = sequence_rows(rows, first_rows(folds, pool), 4)[0].numpy()
    assert np.array_equal(sequences[:, -1], rows[0].numpy())
    keys = np.stack([TARGET.subject, TARGET.session, TARGET.trial], 1)
    assert (keys[sequences] == keys[:, None]).all(), "all windows of a sequence are of one trial"
    expected = np.maximum(TARGET.window[:, None] - np.arange(3, -1, -1), 0)
    assert np.array_equal(TARGET.window[sequences], expected), "in time, the first window standing for those before it"
    for own in folds:
        for part in (own.fold.finetune, own.fold.validation, own.fold.test):
            assert set(sequences[part].ravel()) <= set(part.tolist()), "and so of one part"


def predictions(tables=TABLES_OF, protocol="honest", **settings):
    spec = {"method": "bidann", "protocol": {"kind": protocol}, **SMALL, **settings}
    request = CellRequest("c", ExperimentSpec.model_validate(spec), 0, TRANSFER, CHANNELS, None)
    (output,) = run_cell_stage([request], tables, Reporter())
    return output


def test_a_window_is_told_from_those_before_it_in_its_trial_alone():
    before = predictions(time_steps=3)
    request = CellRequest("c", ExperimentSpec.model_validate({"method": "bidann"}), 0, TRANSFER, CHANNELS, None)
    folds = make_folds(request.experiment.protocol, TARGET, TARGET)
    tested = np.concatenate([fold.test for fold in folds])
    # the third window of each trial that is tested
    changed = tested[TARGET.window[tested] == 2]
    features = TARGET.features.copy()
    features[changed] += 1
    after = predictions(tables_with(target=with_columns(TARGET, features=features)), time_steps=3)
    for number, fold in enumerate(folds):
        one, two = (output.tensors[f"test_logits.{number}"] for output in (before, after))
        differs = (one != two).any(1)
        assert np.array_equal(differs, np.isin(TARGET.window[fold.test], (2, 3, 4)))
        assert before.record["folds"][number]["model"] == after.record["folds"][number]["model"]


def test_sequences_of_one_window_know_no_trials():
    """With one time step the trials, whatever they are, change nothing to the last bit."""
    before = predictions(time_steps=1)
    whole = replace(TARGET, window=np.arange(len(TARGET), dtype=np.int32))
    after = predictions(tables_with(target=whole), time_steps=1)
    for name, tensor in before.tensors.items():
        np.testing.assert_array_equal(tensor, after.tensors[name])


# --- what it is made of ----------------------------------------------------------------------------------------------


def test_recurrent_layer_is_pytorchs():
    theirs = torch.nn.LSTM(7, 3, batch_first=True).double()
    tensors = {
        name: getattr(theirs, f"{name.partition('.')[2]}_l0").detach()[None].expand(2, *shape)
        for name, shape in lstm_sizes("a", 7, 3).items()
    }
    x = torch.randn(2, 5, 4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = lstm(tensors, "a", x)
    for r in range(2):
        torch.testing.assert_close(ours[r], theirs(x[r])[0], rtol=1e-12, atol=1e-12)


def test_domain_discriminators_are_refused_since_no_protocol_grants_what_they_see():
    with pytest.raises(
        SpecError, match=r"'domain_adversarial'.* unlabelled windows of the target .* under no protocol"
    ):
        resolve_variant(ExperimentSpec.model_validate({"method": "bidann"}), {"domain_adversarial": True})
