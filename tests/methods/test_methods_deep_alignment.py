"""Deep alignments: their losses and gradients, what λ = 0 is, what they may see, and numbers of public codes."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import autograd_alignments
import numpy as np
import pytest
import torch
from golden_files import altered, arrays_of
from training_cases import (
    CHANNELS,
    SOURCE,
    TABLES_OF,
    TARGET,
    TRANSFER,
    Reporter,
    StageOutput,
    assert_same,
    make_table,
    tables_with,
    with_columns,
)

from scmmlab.config import ExperimentSpec, resolve_variant
from scmmlab.config.loading import load_study
from scmmlab.errors import CorpusError, SpecError
from scmmlab.evaluation import make_folds
from scmmlab.methods.contract import InputShape
from scmmlab.methods.deep_alignment.coral import Coral
from scmmlab.methods.deep_alignment.domain_head import DomainHead
from scmmlab.methods.deep_alignment.gradient import AlignedWindows, aligned_gradient
from scmmlab.methods.deep_alignment.kernel_mmd import KernelMmd
from scmmlab.methods.deep_alignment.linear_mmd import LinearMmd
from scmmlab.methods.deep_alignment.pack import alignment_weight
from scmmlab.methods.deep_alignment.target_batches import counting, target_batches
from scmmlab.methods.registry import trainer_of
from scmmlab.methods.scmm import finetune_pack
from scmmlab.methods.scmm.finetuning import finetuning_gradient
from scmmlab.methods.scmm.parameters import initial_classifier, initial_pretraining
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.verification import verify_file
from scmmlab.replica.kernel_stats import KernelStats
from scmmlab.replica.parameters import Parameters, initialise
from scmmlab.replica.random import streams
from scmmlab.replica.windows import WindowPool
from scmmlab.training import CellRequest
from scmmlab.training.data import Selections, cell_data
from scmmlab.training.finetune_stage import cell_run
from scmmlab.training.rates import steps_of_finetuning
from scmmlab.training.stages import run_cell_stage

FOLDER = Path(__file__).parent.parent / "golden" / "methods"
FILES = ["coral", "dann", "mmd_linear", "mmd_multi_kernel"]
METHODS = ["dan", "dann", "ddc", "deep_coral"]
SMALL = {"network": {"width": 16, "classifier_width": 16}, "finetune": {"epochs": 3, "batch_size": 16}}
ALIGNMENTS = {
    "linear": LinearMmd(),
    "kernels": KernelMmd(),
    "fixed": KernelMmd(bandwidth=3.0),
    "consecutive": KernelMmd(pairs="consecutive", bandwidth=5.0),
    "coral": Coral(),
    "domain": DomainHead(width=7, dropout=0.0),
}


def request(method="dan", seed=0, protocol="uda_inductive", selection="last", **settings):
    spec = {"method": method, "protocol": {"kind": protocol, "epoch_selection": selection}, **SMALL, **settings}
    return CellRequest(
        f"{method} {seed} {protocol} {settings}", ExperimentSpec.model_validate(spec), seed, TRANSFER, CHANNELS, None
    )


def finetuned(asked, tables=TABLES_OF):
    (output,) = run_cell_stage([asked], tables, Reporter())
    assert isinstance(output, StageOutput), output
    return output


def models(output):
    return [fold["model"] for fold in output.record["folds"]]


# --- golden vectors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_golden_vectors(name, pack):
    checks = verify_file(FOLDER / f"{name}.npz", pack=pack)
    assert [check for check in checks if not check.ok] == []
    assert {check.tolerance for check in checks if "release" not in check.quantity} == {1e-12}


@pytest.mark.parametrize(("file", "name"), [(file, name) for file in FILES for name in arrays_of(FOLDER, file)])
def test_one_altered_number_is_found(file, name, tmp_path):
    path = altered(FOLDER / f"{file}.npz", tmp_path, name)
    try:
        checks = verify_file(path)
    except CorpusError:
        return
    assert not all(check.ok for check in checks)


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_golden_vectors_of_other_sizes_made_by_autograd(name, pack, tmp_path):
    path = autograd_alignments.written(getattr(autograd_alignments, name), tmp_path / "made.npz")
    checks = verify_file(path, pack=pack)
    assert [check for check in checks if not check.ok] == []
    assert len(checks) > 2


@pytest.mark.parametrize("name", FILES)
def test_array_that_nothing_is_compared_with_is_refused(name, tmp_path):
    with np.load(FOLDER / f"{name}.npz") as file:
        np.savez(tmp_path / "more.npz", **{key: file[key] for key in file.files}, loss_of_another_kind=np.zeros(3))
    with pytest.raises(CorpusError, match="loss_of_another_kind"):
        verify_file(tmp_path / "more.npz")


def test_file_of_other_kernels_is_refused(tmp_path):
    with np.load(FOLDER / "mmd_multi_kernel.npz") as file:
        arrays = {key: file[key] for key in file.files}
    arrays["config"] = np.array(str(arrays["config"]).replace('"multiplier": 2.0', '"multiplier": 3.0'))
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(CorpusError, match="must have the widths"):
        verify_file(tmp_path / "other.npz")


# --- losses and gradients --------------------------------------------------------------------------------------------


def batch(rows=(6, 5), features=4, replicas=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randn(replicas, features, n, generator=generator, dtype=dtype) for n in rows)
    return source, 1.5 * target + 0.5, torch.ones(replicas, rows[0]).bool(), torch.ones(replicas, rows[1]).bool()


def learned_of(alignment, features, replicas, dtype=torch.float64):
    sizes = alignment.sizes(features)
    return initialise(Parameters(sizes, replicas, "cpu", dtype), torch.arange(replicas)) if sizes else None


def pull(name, source, target, real, target_real):
    alignment = ALIGNMENTS[name]
    learned = learned_of(alignment, source.shape[1], len(source), source.dtype)
    return alignment(source, target, real, target_real, learned)


@pytest.mark.parametrize("name", ["linear", "fixed", "consecutive", "coral", "domain"])
def test_pulls_are_central_differences_of_the_loss(name):
    source, target, *real = batch((5, 5))
    found = pull(name, source, target, *real)
    # the domain classifier's is reversed
    sign = -1 if name == "domain" else 1
    for tensor, gradient in ((source, found.source_RDN), (target, found.target_RDM)):
        for place in ((0, 0, 0), (1, 3, 4), (0, 2, 2)):
            ends = []
            for step in (1e-5, -1e-5):
                tensor[place] += step
                ends.append(pull(name, source, target, *real).loss_R[place[0]])
                tensor[place] -= step
            assert float(gradient[place]) == pytest.approx(sign * float(ends[0] - ends[1]) / 2e-5, rel=1e-7, abs=1e-10)


def test_layers_of_the_domain_classifier_descend_their_loss():
    alignment, (source, target, *real) = ALIGNMENTS["domain"], batch()
    learned = learned_of(alignment, 4, 2)
    alignment(source, target, *real, learned)
    gradient = learned.gradient.clone()
    for number in (0, 11, 30, 40, learned.values.shape[1] - 1):
        ends = []
        for step in (1e-5, -1e-5):
            learned.values[0, number] += step
            ends.append(alignment(source, target, *real, learned).loss_R[0])
            learned.values[0, number] -= step
        assert float(gradient[0, number]) == pytest.approx(float(ends[0] - ends[1]) / 2e-5, rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("name", ["linear", "kernels", "fixed", "coral"])
def test_identical_batches_are_not_apart_and_pull_nothing(name):
    source, _, real, _ = batch()
    found = pull(name, source, source.clone(), real, real)
    for tensor in found:
        torch.testing.assert_close(tensor, torch.zeros_like(tensor), rtol=0, atol=1e-14)
    moved = pull(name, source, 1.5 * source + 1, real, real)
    assert float(moved.loss_R.min()) > 1e-3


def test_kernels_are_those_of_the_equation():
    source, target, *real = batch((3, 4), replicas=1)
    rows = torch.cat((source, target), 2)[0].T
    squares = ((rows[:, None] - rows) ** 2).sum(-1)
    bandwidth = squares.sum() / (7 * 6)
    k = sum(torch.exp(-squares / (bandwidth * 2.0**u)) for u in range(-2, 3))
    expected = k[:3, :3].mean() + k[3:, 3:].mean() - 2 * k[:3, 3:].mean()
    torch.testing.assert_close(pull("kernels", source, target, *real).loss_R[0], expected, rtol=1e-12, atol=0)


def test_covariances_are_numpys():
    source, target, *real = batch(replicas=1)
    apart = np.cov(source[0].numpy()) - np.cov(target[0].numpy())
    assert float(pull("coral", source, target, *real).loss_R) == pytest.approx((apart**2).sum() / (4 * 16), rel=1e-12)


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_rows_that_do_not_count_change_nothing_and_are_not_pulled(name):
    source, target, real, target_real = batch((8, 8))
    # consecutive pairs are of as many rows
    n, m = (5, 5) if name == "consecutive" else (5, 3)
    short = pull(name, source[..., :n], target[..., :m], real[:, :n], target_real[:, :m])
    real[:, n:], target_real[:, m:] = False, False
    long = pull(name, source, target, real, target_real)
    torch.testing.assert_close(long.loss_R, short.loss_R, rtol=1e-12, atol=0)
    torch.testing.assert_close(long.source_RDN[..., :n], short.source_RDN, rtol=1e-11, atol=1e-15)
    torch.testing.assert_close(long.target_RDM[..., :m], short.target_RDM, rtol=1e-11, atol=1e-15)
    assert not long.source_RDN[..., n:].any()
    assert not long.target_RDM[..., m:].any()


def test_consecutive_pairs_of_unequal_batches_are_those_of_the_shorter_one():
    source, target, real, target_real = batch((8, 8))
    real[:, 5:], target_real[:, 3:] = False, False
    long = pull("consecutive", source, target, real, target_real)
    short = pull("consecutive", source[..., :3], target[..., :3], real[:, :3], target_real[:, :3])
    torch.testing.assert_close(long.loss_R, short.loss_R, rtol=1e-12, atol=0)
    assert not long.source_RDN[..., 3:].any()


@pytest.mark.parametrize("name", ALIGNMENTS)
@pytest.mark.parametrize("rows", [(0, 4), (1, 1), (0, 0)])
def test_batches_with_hardly_a_row_and_rows_that_are_all_the_same_stay_finite(name, rows):
    source, target, real, target_real = batch((8, 8), dtype=torch.float32)
    real[:], target_real[:] = torch.arange(8) < rows[0], torch.arange(8) < rows[1]
    for given in ((source, target), (torch.ones_like(source), torch.ones_like(target))):
        assert all(bool(tensor.isfinite().all()) for tensor in pull(name, *given, real, target_real))


def test_kernels_far_from_zero_lose_no_digits():
    """Of float32 features about 1000 with differences of 1."""
    source, target, *real = batch()
    exact = pull("kernels", source, target, *real)
    far = pull("kernels", (source + 1000).float(), (target + 1000).float(), *real)
    torch.testing.assert_close(far.loss_R.double(), exact.loss_R, rtol=1e-3, atol=0)


# --- the step --------------------------------------------------------------------------------------------------------


def network(replicas=2, width=16, dtype=torch.float64, rows=12, channels=3, classes=3, hidden=16):
    shape, seed_R = Shape(channels, width=width, classifier_width=hidden, classes=classes), torch.arange(replicas)
    encoder = initial_pretraining(shape, seed_R, "cpu", dtype).part("encoder.")
    classifier = initial_classifier(shape, seed_R, "cpu", dtype)
    generator = torch.Generator().manual_seed(1)
    x, target = (torch.randn(replicas, rows, channels, 5, generator=generator, dtype=dtype) for _ in range(2))
    label = torch.randint(0, classes, (replicas, rows), generator=generator)
    real = torch.arange(rows).expand(replicas, -1) < rows - 2
    target_real = torch.arange(rows).expand(replicas, -1) < rows - 3
    return (
        encoder,
        classifier,
        AlignedWindows(x, label, real, target + 1, target_real, torch.ones(replicas, dtype=dtype)),
    )


@pytest.mark.parametrize("layer", ["hidden", "embedding"])
@pytest.mark.parametrize("name", ALIGNMENTS)
def test_without_weight_the_gradient_is_that_of_the_cross_entropy_to_the_last_bit(name, layer):
    """Of the encoder, of the classifier and of the running statistics; with α = 0 so is DANN's."""
    encoder, classifier, windows = network()
    plain = encoder.part(""), classifier.part("")
    expected = finetuning_gradient(*plain, windows.x_RBCF, windows.label_RB, windows.real_RB)
    learned = learned_of(ALIGNMENTS[name], {"hidden": 16, "embedding": 48}[layer], 2)
    nothing = windows._replace(weight_R=torch.zeros(2, dtype=torch.float64))
    found = aligned_gradient(encoder, classifier, learned, ALIGNMENTS[name], layer, nothing)
    assert torch.equal(found.loss_R, expected.loss_R)
    assert torch.equal(found.logits_RBK, expected.logits_RBK)
    assert torch.equal(encoder.gradient, plain[0].gradient)
    assert torch.equal(classifier.gradient, plain[1].gradient)
    for norm in encoder.norms:
        assert torch.equal(encoder.running_mean[norm], plain[0].running_mean[norm])
        assert torch.equal(encoder.running_var[norm], plain[0].running_var[norm])
    assert bool((found.alignment_R.abs() > 1e-9).all()), "it is measured all the same"
    aligned_gradient(encoder, classifier, learned, ALIGNMENTS[name], layer, windows)
    assert not torch.equal(encoder.gradient, plain[0].gradient)


@pytest.mark.parametrize("layer", ["hidden", "embedding"])
@pytest.mark.parametrize("name", ["linear", "fixed", "coral"])
def test_gradient_of_the_whole_step_is_its_central_difference(name, layer):
    encoder, classifier, windows = network(replicas=1)
    windows = windows._replace(weight_R=torch.tensor([3.0], dtype=torch.float64))

    def loss():
        found = aligned_gradient(encoder.part(""), classifier.part(""), None, ALIGNMENTS[name], layer, windows)
        return found.loss_R[0] + 3.0 * found.alignment_R[0]

    aligned_gradient(encoder, classifier, None, ALIGNMENTS[name], layer, windows)
    for parameters in (encoder, classifier):
        gradient = parameters.gradient[0].clone()
        # those that matter most, and some others
        for number in (*gradient.abs().topk(3).indices.tolist(), 5, len(gradient) // 2):
            ends = []
            for step in (1e-6, -1e-6):
                parameters.values[0, number] += step
                ends.append(float(loss()))
                parameters.values[0, number] -= step
            assert float(gradient[number]) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("layer", ["hidden", "embedding"])
@pytest.mark.parametrize("name", [*ALIGNMENTS, "dropped"])
def test_replicas_computed_together_have_the_bits_of_each_alone(name, layer):
    """At the published sizes, where a CPU takes four at a time."""
    alignment = DomainHead(64, 0.5) if name == "dropped" else ALIGNMENTS[name]
    *_, given = network(5, 128, torch.float32, rows=32, channels=19, hidden=128)
    words = streams(torch.arange(5), "dropout", 0, 0)

    def found(rows):
        encoder, classifier, _ = network(5, 128, torch.float32, rows=32, channels=19, hidden=128)
        parts = []
        for whole in (
            encoder,
            classifier,
            learned_of(alignment, {"hidden": 128, "embedding": 384}[layer], 5, torch.float32),
        ):
            part = None if whole is None else Parameters(whole.sizes, len(rows), "cpu", torch.float32)
            for place, r in enumerate(rows if part else ()):
                part.load_replica(place, whole.replica_state(r))
            parts.append(part)
        own = AlignedWindows(*(tensor[list(rows)] for tensor in given))
        step = aligned_gradient(*parts, alignment, layer, own, words[:, list(rows)])
        return [*step, *(part.gradient for part in parts if part)]

    together = found(range(5))
    for r in range(5):
        for whole, alone in zip(together, found([r]), strict=True):
            assert torch.equal(whole[r], alone[0])


# --- λ = 0 -----------------------------------------------------------------------------------------------------------


@functools.cache
def plain(protocol, selection):
    """SCMM's network without pre-training, on the source's labels."""
    return finetuned(request("scmm", protocol=protocol, selection=selection, pretrain={"enabled": False}))


@pytest.mark.parametrize("layer", ["hidden", "embedding"])
@pytest.mark.parametrize(
    ("protocol", "selection"), [("uda_inductive", "best_validation"), ("uda_transductive", "last")]
)
@pytest.mark.parametrize("method", METHODS)
def test_without_weight_a_cell_is_the_supervised_one_to_the_last_bit(method, protocol, selection, layer):
    twin = finetuned(request(method, protocol=protocol, selection=selection, alignment={"weight": 0.0, "layer": layer}))
    expected = plain(protocol, selection)
    for own, other in zip(twin.record["folds"], expected.record["folds"], strict=True):
        for row in own["curve"]:
            assert row.pop("alignment") > 0, "it is measured all the same"
        assert own == other, "model, epochs, figures of training and validation"
    assert twin.tensors.keys() == expected.tensors.keys()
    for name, tensor in twin.tensors.items():
        np.testing.assert_array_equal(tensor, expected.tensors[name])
    aligned = finetuned(request(method, protocol=protocol, selection=selection, alignment={"weight": 9.0}))
    assert models(aligned) != models(expected), "the alignment is no ornament"


def test_supervised_cell_is_the_same_whatever_unlabelled_windows_are_granted():
    """So λ = 0 is a twin of `zero_shot` too, which tests more windows."""
    shot, inductive = plain("zero_shot", "last"), plain("uda_inductive", "last")
    assert models(shot) == models(inductive)
    protocols = [
        ExperimentSpec.model_validate({"protocol": {"kind": k}}).protocol for k in ("zero_shot", "uda_inductive")
    ]
    pairs = zip(*(make_folds(protocol, SOURCE, TARGET) for protocol in protocols), strict=True)
    for number, (more, fewer) in enumerate(pairs):
        common = np.isin(more.test, fewer.test)
        assert 0 < common.sum() < len(more.test)
        name = f"test_logits.{number}"
        np.testing.assert_array_equal(shot.tensors[name][common], inductive.tensors[name])


def test_settings_of_different_weights_train_together_as_if_alone():
    asked = [
        request(alignment={"weight": weight, "schedule": kind}) for weight, kind in ((0.0, "ramp"), (2.0, "constant"))
    ]
    signatures = {
        trainer_of(one.experiment).pack_signature(one.experiment, "finetune", InputShape(3, 5, 2)) for one in asked
    }
    assert len(signatures) == 1
    for one, alone in zip(
        run_cell_stage(asked, TABLES_OF, Reporter(), pack_size=64), map(finetuned, asked), strict=True
    ):
        assert_same(one, alone)


def test_weight_rises_with_the_share_of_steps_that_are_done():
    spec = request(alignment={"weight": 3.0}).experiment
    assert alignment_weight(spec, 0.0) == 0.0
    assert alignment_weight(spec, 0.5) == pytest.approx(3 * (2 / (1 + math.exp(-5)) - 1))
    assert 2.99 < alignment_weight(spec, 1.0) < 3.0
    assert alignment_weight(resolve_variant(spec, {"alignment.schedule": "constant"}), 0.0) == 3.0
    pack = pack_of(request(alignment={"weight": 3.0}))
    steps = len(SOURCE) * 3 // 4 // 16
    done = []
    for epoch in range(3):
        weights = pack.step_extras(torch.full((4,), epoch), steps)["weight"]
        assert weights.shape == (steps, 4)
        done += weights[:, 0].tolist()
        pack.train_epoch()
    assert done == pytest.approx([alignment_weight(spec, k / (3 * steps)) for k in range(3 * steps)])


# --- windows of the target -------------------------------------------------------------------------------------------


def pack_of(asked, device="cpu"):
    runs = cell_run(asked, cell_data(asked, Selections(TABLES_OF))).runs
    arrays = [array for run in runs for array in (run.data.seen_features, run.data.test_features)]
    return trainer_of(asked.experiment).finetune_pack(runs, WindowPool(arrays, device, torch.float32))


def test_each_window_of_the_target_comes_as_often_as_any_other_and_none_twice_in_a_step():
    seed_R, epoch_R = torch.tensor([3, 4, 3]), torch.tensor([0, 5, 1])
    chosen = target_batches(seed_R, epoch_R, [40, 7, 40], steps=10, batch_size=16)
    assert chosen.shape == (10, 3, 16)
    assert counting([40, 7, 40], 16, torch.device("cpu")).sum(1).tolist() == [16, 7, 16]
    for r, (n, taken) in enumerate([(40, 16), (7, 7), (40, 16)]):
        own = chosen[:, r, :taken]
        assert all(len(set(step.tolist())) == taken for step in own)
        assert torch.equal(torch.bincount(own.flatten(), minlength=n), torch.full((n,), 10 * taken // n))
        alone = target_batches(seed_R[r : r + 1], epoch_R[r : r + 1], [n], steps=12, batch_size=16)
        assert torch.equal(alone[:10, 0, :taken], own), "whatever others have, and however many steps"
    assert not torch.equal(chosen[:, 0], chosen[:, 2]), "each epoch has its own order"


def test_a_target_with_fewer_windows_than_a_batch_is_aligned_whole_at_each_step():
    few = make_table("target", trials=4, windows=2, seed=2)
    asked = request("deep_coral", finetune={"epochs": 2, "batch_size": 16})
    output = finetuned(asked, tables_with(target=few))
    rows = [row["alignment"] for fold in output.record["folds"] for row in fold["curve"]]
    assert all(math.isfinite(row) for row in rows)
    assert all(row > 0 for row in rows)


def granted(protocol):
    spec = ExperimentSpec.model_validate({"protocol": {"kind": protocol}})
    return [(fold.unlabelled, fold.test) for fold in make_folds(spec.protocol, SOURCE, TARGET)]


def with_changed(rows):
    features = TARGET.features.copy()
    features[rows] *= -3.0
    return tables_with(target=with_columns(TARGET, features=features))


@pytest.mark.parametrize("method", METHODS)
def test_inductive_models_know_nothing_of_test_windows_and_transductive_ones_do(method):
    settings = {"alignment": {"weight": 5.0, "schedule": "constant"}}
    for protocol, moves in (("uda_inductive", False), ("uda_transductive", True)):
        asked = request(method, protocol=protocol, selection="best_validation", **settings)
        tested = np.concatenate([test for _, test in granted(protocol)])
        before, after = finetuned(asked), finetuned(asked, with_changed(tested))
        if moves:
            assert all(one != two for one, two in zip(models(before), models(after), strict=True))
            continue
        assert before.record["folds"] == after.record["folds"]
        for name in before.tensors:
            if name.startswith("validation"):
                np.testing.assert_array_equal(before.tensors[name], after.tensors[name])


@pytest.mark.parametrize("protocol", ["uda_inductive", "uda_transductive"])
def test_a_fold_sees_unlabelled_windows_of_its_own_subjects_alone(protocol):
    asked = request(protocol=protocol, alignment={"weight": 5.0, "schedule": "constant"})
    before = models(finetuned(asked))
    for number, (unlabelled, _) in enumerate(granted(protocol)):
        after = models(finetuned(asked, with_changed(unlabelled)))
        assert [one != two for one, two in zip(before, after, strict=True)] == [r == number for r in range(len(after))]


@pytest.mark.parametrize("method", METHODS)
def test_no_label_of_the_target_changes_anything(method):
    asked = request(method, selection="best_validation")
    label = 1 - TARGET.label
    assert_same(finetuned(asked), finetuned(asked, tables_with(target=with_columns(TARGET, label=label))))


# --- refusal ---------------------------------------------------------------------------------------------------------

STUDY = """
kind: ablation
name: a
base: {protocol: {kind: PROTOCOL}}
variants:
  full: {}
  adapted: {method: METHOD}
transfers:
  - {name: a-to-b, source: {table: a}, target: {table: b}}
"""


@pytest.mark.parametrize("protocol", ["honest", "loso", "zero_shot", "released"])
@pytest.mark.parametrize("method", METHODS)
def test_a_protocol_that_grants_no_windows_of_the_target_is_refused_on_load(method, protocol, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.replace("METHOD", method).replace("PROTOCOL", protocol), encoding="utf-8")
    with pytest.raises(SpecError) as refused:
        load_study(study)
    said = str(refused.value)
    assert "'uda_inductive' or 'uda_transductive'" in said
    assert f"got '{protocol}'" in said
    assert "adapted" in said
    assert "\n" not in said


def test_a_protocol_of_domain_adaptation_is_taken(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.replace("METHOD", "dann").replace("PROTOCOL", "uda_inductive"), encoding="utf-8")
    load_study(study)


# --- on a GPU --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_training_from_buffers_is_training_to_the_last_bit(method, monkeypatch):
    asked = [request(method, selection="best_validation"), request(method, seed=1, selection="best_validation")]
    called = run_cell_stage(asked, TABLES_OF, Reporter(), pack_size=64)
    monkeypatch.setattr(finetune_pack, "stays_on_device", lambda device, group: True)
    for one, two in zip(called, run_cell_stage(asked, TABLES_OF, Reporter(), pack_size=64), strict=True):
        assert_same(one, two)


@pytest.mark.parametrize("layer", ["hidden", "embedding"])
@pytest.mark.parametrize("method", METHODS)
def test_an_epoch_asks_the_device_for_nothing(method, layer):
    """On tensors without numbers every question for one raises, and so does what mixes devices."""
    pack = pack_of(request(method, alignment={"layer": layer}), "meta")
    for _ in range(2):
        assert pack.run_epoch().shape == (4, 3 + 4 + 1)
    with KernelStats() as found:
        pack.epoch._take_step()
    assert set(found.devices) == {"meta"}


@pytest.mark.parametrize("method", METHODS)
def test_a_pack_on_several_threads_gives_what_it_gives_on_one(method):
    both = [request(method), request(method, seed=1)]
    one_thread = run_cell_stage(both, TABLES_OF, Reporter(), pack_size=64)
    torch.set_num_threads(2)
    try:
        several = run_cell_stage(both, TABLES_OF, Reporter(), pack_size=64)
    finally:
        torch.set_num_threads(1)
    for one, two in zip(one_thread, several, strict=True):
        assert_same(one, two)


@pytest.mark.parametrize("method", METHODS)
def test_speed_can_be_measured_for_plans(method):
    runner = steps_of_finetuning(request(method).experiment, 3, 5, 2, "cpu", 2)
    assert runner.train_epoch() == [None, None]
