"""SimCLR, MAE, mixup, SimMTM and SoftCLT as settings of SCMM: their losses, their defaults, and what they train on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_files import altered, arrays_of
from training_cases import CHANNELS, SOURCE, TABLES_OF, TARGET, TRANSFER, Reporter, assert_same

from scmmlab.config import ExperimentSpec, resolve_variant
from scmmlab.errors import CorpusError
from scmmlab.methods.registry import method
from scmmlab.methods.scmm.augmentation import augmented
from scmmlab.methods.scmm.key_rules import ADDED
from scmmlab.methods.scmm.masking import mask_streams
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.verification import verify_file
from scmmlab.study.keys import cell_key, pretrain_key
from scmmlab.training import PretrainRequest
from scmmlab.training.data import Selections, pretrain_data
from scmmlab.training.stages import run_pretrain_stage

FOLDER = Path(__file__).parent.parent / "golden" / "methods"
FILES = {
    "simclr": ["ntxent_32_rows", "ntxent_32_windows"],
    "mae": ["masked_reconstruction"],
    "mixup": ["mixup"],
    "simmtm": ["simmtm_1_positive", "simmtm_3_positives"],
    "softclt": ["softclt_instance", "softclt_labels", "softclt_temporal"],
}
NAMES = [name for names in FILES.values() for name in names]
SMALL = {"network.width": 16, "pretrain.epochs": 2, "pretrain.batch_size": 32}


def experiment(name: str = "scmm", **groups) -> ExperimentSpec:
    return ExperimentSpec.model_validate({"method": name, **groups})


def trained(name: str, seed: int = 0, **groups) -> PretrainRequest:
    spec = resolve_variant(experiment(name, **groups), SMALL)
    return PretrainRequest(f"{name} {seed}", spec, seed, TRANSFER.source, CHANNELS)


# --- their numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_golden_vectors(name, pack):
    checks = verify_file(FOLDER / f"{name}.npz", pack=pack)
    assert [check for check in checks if not check.ok] == []
    assert {check.tolerance for check in checks} == {1e-12}


@pytest.mark.parametrize(("file", "name"), [(file, name) for file in NAMES for name in arrays_of(FOLDER, file)])
def test_one_altered_number_is_found(file, name, tmp_path):
    path = altered(FOLDER / f"{file}.npz", tmp_path, name)
    if file == "softclt_temporal":
        (tmp_path / "softclt_labels.npz").write_bytes((FOLDER / "softclt_labels.npz").read_bytes())
    try:
        checks = verify_file(path)
    except CorpusError:
        return
    assert not all(check.ok for check in checks)


def test_labels_that_lie_elsewhere_are_asked_for(tmp_path):
    path = tmp_path / "series.npz"
    path.write_bytes((FOLDER / "softclt_temporal.npz").read_bytes())
    with pytest.raises(CorpusError, match=r"labels in softclt_labels\.npz, which must lie beside it"):
        verify_file(path)


# --- their defaults --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_what_a_group_leaves_out_has_the_defaults_of_the_method(name):
    default = method(name).spec()
    said = experiment(name, masking={"ratio": 0.35}, contrast={"temperature": 0.3})
    masking = default.masking.model_copy(update={"ratio": 0.35})
    assert said == default.model_copy(
        update={"masking": masking, "contrast": default.contrast.model_copy(update={"temperature": 0.3})}
    )
    assert said.contradictions() == []
    assert ExperimentSpec.model_validate_json(said.model_dump_json()) == said


@pytest.mark.parametrize("name", FILES)
def test_a_method_is_scmm_at_its_settings(name):
    preset = method(name).spec()
    same = experiment(**{k: v for k, v in preset.model_dump().items() if k not in ("method", "protocol")})
    assert same.method == "scmm"
    for setting in ("masking", "augmentation", "contrast", "aggregator", "reconstruction", "loss"):
        assert getattr(same, setting) == getattr(preset, setting)
    ours, theirs = (
        run_pretrain_stage([request], TABLES_OF, Reporter())[0]
        for request in (trained(name), replace(trained(name), experiment=resolve_variant(same, SMALL)))
    )
    for tensor in ours.tensors:
        np.testing.assert_array_equal(ours.tensors[tensor], theirs.tensors[tensor])


@pytest.mark.parametrize("name", FILES)
def test_a_setting_at_what_scmm_does_is_in_the_key_of_a_method_that_does_otherwise(name):
    preset, scmm, compared = method(name).spec(), method("scmm").spec(), 0
    for path in ADDED:
        group, setting = path.split(".")
        own, before = getattr(getattr(preset, group), setting), getattr(getattr(scmm, group), setting)
        if own == before or not getattr(getattr(preset, group), "enabled", True):
            continue
        changed = preset.model_copy(update={group: getattr(preset, group).model_copy(update={setting: before})})
        assert _keys(changed) != _keys(preset), path
        compared += 1
    assert compared


def test_settings_that_came_later_leave_the_keys_of_what_was_there():
    scmm = experiment()
    later = {
        "masking.originals": True,
        "augmentation.noise": 0.0,
        "contrast.positives": "neighbours",
        "contrast.similarity": "dot",
        "contrast.normaliser": "pairs",
        "contrast.half_life": 99.0,
        "reconstruction.target": "self",
        "reconstruction.on": "all",
    }
    assert _keys(resolve_variant(scmm, later)) == _keys(scmm)
    hard = resolve_variant(scmm, {"contrast.weights": "hard"})
    assert _keys(resolve_variant(scmm, {"contrast.positives": "views"})) == _keys(hard) != _keys(scmm)


def _keys(spec):
    return (
        pretrain_key(spec, TRANSFER, SOURCE.manifest, CHANNELS, 0),
        cell_key(spec, TRANSFER, SOURCE.manifest, TARGET.manifest, CHANNELS, 0),
    )


@pytest.mark.parametrize(
    ("groups", "path", "message"),
    [
        (
            {"contrast": {"weights": "hard", "positives": "trial_time"}},
            "contrast.positives",
            "must be 'views' or absent",
        ),
        ({"augmentation": {"mixup": 0.5}}, "contrast.positives", "must be 'views', got 'neighbours'"),
        (
            {"augmentation": {"mixup": 0.5}, "contrast": {"weights": "hard"}, "masking": {"views": 2}},
            "augmentation.mixup",
            "masking.views 1",
        ),
        (
            {"contrast": {"weights": "hard"}, "masking": {"originals": False}},
            "masking.originals",
            "which has no other view",
        ),
        ({"reconstruction": {"on": "masked"}}, "reconstruction.target", "must be 'original'"),
        (
            {"reconstruction": {"on": "masked", "target": "original"}, "masking": {"mode": "none"}},
            "reconstruction.on",
            "nothing is hidden",
        ),
        (
            {
                "reconstruction": {"target": "original"},
                "augmentation": {"mixup": 0.5},
                "contrast": {"weights": "hard"},
            },
            "reconstruction.target",
            "two originals",
        ),
    ],
)
def test_settings_that_leave_nothing_to_learn_from_are_refused(groups, path, message):
    ((found, said),) = experiment(**groups).contradictions()
    assert found == path
    assert message in said


# --- what they are trained on ----------------------------------------------------------------------------------------


def settings(*experiments):
    return PackSettings.stack(list(experiments), [False] * len(experiments), "cpu", torch.float64)


def copies(seeds, *experiments, windows=2000):
    x = torch.full((len(experiments), windows, 3, 5), 2.0, dtype=torch.float64)
    return augmented(x, mask_streams(torch.tensor(seeds), 0, 0), settings(*experiments))


def test_noise_and_gain_have_the_deviations_that_were_asked_for():
    noisy, _ = copies([1], experiment(augmentation={"noise": 0.3}))
    assert abs(noisy.mean() - 2) < 0.01
    assert abs(noisy.std() - 0.3) < 0.01
    assert abs(torch.corrcoef(noisy.flatten(2)[0].T).fill_diagonal_(0)).max() < 0.12
    louder, _ = copies([1], experiment(augmentation={"gain": 0.2}))
    factor = louder.flatten(2) / 2
    assert (factor == factor[..., :1]).all(), "one a copy"
    assert abs(factor[..., 0].mean() - 1) < 0.02
    assert abs(factor[..., 0].std() - 0.2) < 0.01


def test_changes_of_a_copy_depend_neither_on_neighbours_nor_on_chance():
    plain, noisy, louder = (experiment(augmentation=each) for each in ({}, {"noise": 0.1}, {"gain": 0.1}))
    together, _ = copies([1, 2, 3], plain, noisy, louder, windows=7)
    assert (together[0] == 2).all()
    for r, (seed, own) in enumerate(((2, noisy), (3, louder)), start=1):
        alone, _ = copies([seed], own, windows=7)
        assert torch.equal(together[r], alone[0])
    assert not torch.equal(together[1], copies([9], noisy, windows=7)[0][0])


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0])
def test_shares_of_mixtures_are_of_the_beta_distribution(alpha):
    mixing = experiment("mixup", augmentation={"mixup": alpha})
    streams = mask_streams(torch.arange(3000), 0, 0)
    x = torch.zeros(3000, 2, 1, 1, dtype=torch.float64)
    _, mixture = augmented(x, streams, settings(*[mixing] * 3000))
    share = mixture.share_R.numpy()
    assert abs(share.mean() - 0.5) < 0.03
    # of Beta(α, α): 1 / (4 (2α + 1))
    assert abs(share.var() - 1 / (4 * (2 * alpha + 1))) < 0.01
    assert 0 < share.min() < share.max() < 1


def test_a_mixture_is_made_of_two_windows_of_the_batch():
    x = torch.rand(1, 9, 3, 5, dtype=torch.float64)
    mixed, mixture = augmented(x, mask_streams(torch.tensor([4]), 0, 0), settings(experiment("mixup")))
    share, partner = float(mixture.share_R), mixture.partner_RB[0]
    assert sorted(partner.tolist()) == list(range(9))
    torch.testing.assert_close(mixed[0], share * x[0] + (1 - share) * x[0, partner])


def test_pre_training_is_told_of_which_trial_and_when_each_window_is():
    data = pretrain_data(trained("softclt"), Selections(TABLES_OF))
    columns = np.stack([SOURCE.subject, SOURCE.session, SOURCE.trial], axis=1)
    for row, other in ((0, 1), (3, 4), (5, 6), (0, len(SOURCE) - 1)):
        assert (data.trial[row] == data.trial[other]) == (columns[row] == columns[other]).all()
    np.testing.assert_array_equal(data.time_s, SOURCE.window * SOURCE.manifest.window_s)


@pytest.mark.parametrize("name", FILES)
def test_pre_training_in_a_pack_gives_what_it_gives_alone(name):
    both = [trained(name), trained(name, seed=1)]
    together = run_pretrain_stage(both, TABLES_OF, Reporter(), pack_size=64)
    for request, packed in zip(both, together, strict=True):
        (alone,) = run_pretrain_stage([request], TABLES_OF, Reporter(), pack_size=1)
        assert_same(packed, alone)


@pytest.mark.parametrize("name", FILES)
def test_pre_training_learns(name):
    request = replace(trained(name), experiment=resolve_variant(trained(name).experiment, {"pretrain.epochs": 30}))
    (output,) = run_pretrain_stage([request], TABLES_OF, Reporter())
    losses = [row["loss"] for row in output.record["curve"]]
    assert losses[-1] < 0.97 * losses[0]


def test_time_is_nothing_to_windows_of_different_trials():
    """Weights in time of a half-life that never ends are those of one trial, however far windows are apart."""
    near, far = (trained("softclt", contrast={"half_life": seconds}) for seconds in (1e-3, 1e6))
    states = [run_pretrain_stage([request], TABLES_OF, Reporter())[0].tensors for request in (near, far)]
    assert any(not np.array_equal(states[0][name], states[1][name]) for name in states[0])


def test_several_workers_cannot_share_batches_of_trials():
    from scmmlab.replica.collectives import SINGLE_PROCESS
    from scmmlab.training.data_parallel import pretrain_data_parallel

    request = trained("softclt")
    rows = np.arange(len(SOURCE))
    failure = pretrain_data_parallel(request, rows, SOURCE.features, "", SINGLE_PROCESS, Reporter())
    assert "cannot share the batches of 'softclt': 'contrast.positives: trial_time' needs to know" in failure.error
