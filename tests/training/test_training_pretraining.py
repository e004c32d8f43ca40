import functools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import (
    SOURCE,
    TABLES_OF,
    Interruption,
    MemoryReporter,
    assert_same,
    make_table,
    pretrain_request,
    tables_with,
    with_columns,
)

from scmmlab.config import CorpusSelection
from scmmlab.methods.scmm.pretrain_pack import PretrainPack
from scmmlab.training import Reporter, StageFailure, StageOutput
from scmmlab.training.stages import run_pretrain_stage

pytestmark = pytest.mark.slow

RELEASED = {"kind": "released", "pretrain_batches": 2}


def run(*requests, tables=TABLES_OF, reporter=None, **options):
    return run_pretrain_stage(list(requests), tables, reporter or Reporter(), **options)


def varied_pack():
    return [
        pretrain_request("full"),
        pretrain_request("random", masking={"mode": "random", "ratio": 0.3}),
        pretrain_request("no_masking", seed=3, masking={"mode": "none"}),
        pretrain_request("hard", contrast={"weights": "hard"}),
        pretrain_request("alone", aggregator={"enabled": False}),
        pretrain_request("top", aggregator={"top_k": 3}),
        pretrain_request("reconstruction", contrast={"enabled": False}),
        pretrain_request("contrast", reconstruction={"enabled": False}),
        pretrain_request("euclidean", contrast={"distance": "euclidean"}),
        pretrain_request("fixed", loss={"weighting": "fixed"}, pretrain={"optimizer": {"learning_rate": 1e-3}}),
        pretrain_request("standard", scaling="standard"),
        pretrain_request("long", pretrain={"epochs": 6}),
        pretrain_request("first batches", protocol=RELEASED),
        replace(pretrain_request("other corpus"), source=CorpusSelection(table="larger")),
        replace(pretrain_request("other subjects"), source=CorpusSelection(table="source", subjects=(0, 1))),
    ]


VARIED_TABLES = tables_with(larger=make_table("larger", subjects=5, windows=7, seed=3))


def test_what_pretraining_does_not_see_changes_neither_its_tensors_nor_its_record():
    """Cells of one key share an encoder, whichever of them asked for it."""
    random = {"mode": "random", "ratio": 0.3}
    (one,) = run(pretrain_request(masking=random))
    (other,) = run(
        pretrain_request(
            masking={**random, "threshold": 0.9},
            network={"classifier_width": 8},
            finetune={"epochs": 9},
            protocol={"kind": "loso"},
        )
    )
    assert_same(one, other)
    assert one.record["experiment"]["masking"] == {**random, "views": 1}
    assert one.record["experiment"]["precision"] == "float32"
    assert not {"finetune", "protocol"} & one.record["experiment"].keys()


def test_request_in_a_pack_of_others_gives_what_it_gives_alone(monkeypatch):
    sizes = []
    train = PretrainPack.train_epoch

    def counted(self):
        sizes.append(len(self.runs))
        return train(self)

    monkeypatch.setattr(PretrainPack, "train_epoch", counted)
    together = run(*varied_pack(), tables=VARIED_TABLES, pack_size=15)
    assert sizes == [15] * 4 + [1] * 2
    assert len({output.record["windows"] for output in together}) == 4
    for request, packed in zip(varied_pack(), together, strict=True):
        (alone,) = run(request, tables=VARIED_TABLES)
        assert isinstance(packed, StageOutput), packed
        assert_same(packed, alone)


def test_losses_fall():
    (output,) = run(pretrain_request(pretrain={"epochs": 30, "optimizer": {"learning_rate": 5e-3}}))
    losses = [row["reconstruction"] for row in output.record["curve"]]
    assert losses[-1] < 0.5 * losses[0]


def test_curve_that_is_reported_is_the_one_that_is_kept():
    reporter = MemoryReporter()
    (output,) = run(pretrain_request(), reporter=reporter)
    reported = [{"epoch": epoch, **metrics} for _, stage, epoch, _, metrics in reporter.events if stage == "pretrain"]
    assert reported == output.record["curve"]
    assert [row["epoch"] for row in reported] == [1, 2, 3, 4]
    np.testing.assert_array_equal(output.tensors["curve.loss"], [row["loss"] for row in reported])


@functools.cache
def never_stopped(released):
    quirks = {"protocol": RELEASED} if released else {}
    requests = [pretrain_request(f"p{seed}", seed, **quirks) for seed in range(3)]
    return requests, run(*requests)


@settings(max_examples=10, deadline=None)
@given(interrupt_at=st.integers(0, 11), every=st.integers(1, 4), released=st.booleans())
def test_interrupted_at_any_report_and_resumed_equals_never_stopped(interrupt_at, every, released):
    requests, whole = never_stopped(released)
    reporter = MemoryReporter(interrupt_at)
    with pytest.raises(Interruption):
        run(*requests, reporter=reporter, checkpoint_every=every)
    # replicas of the pack may go on from different epochs, in another pack
    resumed = run(*requests[::-1], reporter=reporter, checkpoint_every=every, pack_size=2)
    for one, other in zip(whole, resumed[::-1], strict=True):
        assert_same(one, other)


def test_request_is_not_trained_again_when_its_last_checkpoint_is_there():
    reporter = MemoryReporter()
    (first,) = run(pretrain_request(), reporter=reporter, checkpoint_every=2)
    reported = len(reporter.events)
    (second,) = run(pretrain_request(), reporter=reporter, checkpoint_every=2)
    assert_same(first, second)
    assert len(reporter.events) == reported


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-7], lambda data: data[:40], lambda data: b"", lambda _: b"junk" * 9]
)
def test_damaged_checkpoint_is_left_alone_with_a_warning(damage, caplog):
    (whole,) = run(pretrain_request())
    reporter = MemoryReporter(interrupt_at=3)
    with pytest.raises(Interruption):
        run(pretrain_request(), reporter=reporter, checkpoint_every=1)
    reporter.checkpoints = {name: damage(data) for name, data in reporter.checkpoints.items()}
    (again,) = run(pretrain_request(), reporter=reporter)
    assert_same(whole, again)
    assert "starts again" in caplog.text


def test_labels_and_target_have_no_influence():
    (before,) = run(pretrain_request())

    def only_source(location):
        assert location == "source", "pre-training must not read the target"
        return with_columns(SOURCE, label=SOURCE.label[::-1].copy())

    (after,) = run(pretrain_request(), tables=only_source)
    assert_same(before, after)


def test_released_protocol_sees_only_the_first_batches():
    beyond = SOURCE.features.copy()
    beyond[2 * 32 :] *= 100.0
    changed = tables_with(source=with_columns(SOURCE, features=beyond))
    (before,) = run(pretrain_request(protocol=RELEASED))
    (after,) = run(pretrain_request(protocol=RELEASED), tables=changed)
    assert_same(before, after)
    assert before.record["windows"] == 64
    (honest,) = run(pretrain_request())
    (other,) = run(pretrain_request(), tables=changed)
    assert honest.record["curve"] != other.record["curve"]


def test_overwriting_the_originals_is_a_quirk_of_its_own():
    def protocol(overwrite):
        return {"kind": "released", "pretrain_batches": None, "overwrite_originals": overwrite}

    (honest,) = run(pretrain_request())
    (kept,) = run(pretrain_request(protocol=protocol(False)))
    (overwritten,) = run(pretrain_request(protocol=protocol(True)))
    assert_same(honest, kept)
    assert overwritten.record["curve"] != kept.record["curve"]


def test_diverging_replica_fails_with_its_epoch_named_and_the_others_go_on():
    good = [pretrain_request("a"), pretrain_request("b", 1)]
    bad = pretrain_request("bad", contrast={"temperature": 1e-38})
    outcomes = run(good[0], bad, good[1])
    assert isinstance(outcomes[1], StageFailure)
    assert "bad diverged in epoch 1 of 4" in outcomes[1].error
    for request, outcome in zip(good, (outcomes[0], outcomes[2]), strict=True):
        assert_same(outcome, run(request)[0])


def test_replica_whose_parameters_leave_the_finite_at_the_last_step_fails():
    spec = {"epochs": 1, "batch_size": 192, "optimizer": {"weight_decay": 1e39}}
    (outcome,) = run(pretrain_request(pretrain=spec, aggregator={"enabled": False}))
    assert isinstance(outcome, StageFailure)
    assert "its parameters are not" in outcome.error


def test_stopped_replica_says_so_and_its_neighbours_go_on():
    reporter = MemoryReporter(stop=lambda key, epoch: key == "a" and epoch == 2)
    stopped, other = run(pretrain_request("a"), pretrain_request("b", 1), reporter=reporter)
    assert (stopped.record["state"], len(stopped.record["curve"])) == ("stopped", 2)
    assert_same(other, run(pretrain_request("b", 1))[0])


def test_request_that_cannot_be_prepared_fails_alone():
    outcomes = run(pretrain_request("large", pretrain={"batch_size": 4096}), pretrain_request("good"))
    assert isinstance(outcomes[0], StageFailure)
    assert "'pretrain.batch_size' is 4096 and the source has 192" in outcomes[0].error
    assert isinstance(outcomes[1], StageOutput)


def test_pack_that_raises_is_halved_until_the_replica_at_fault_is_alone(monkeypatch):
    from scmmlab.methods.scmm.pretrain_pack import PretrainPack

    train = PretrainPack.train_epoch

    def out_of_memory(self):
        if len(self.runs) > 2 or any(encoder.key == "p1" for encoder in self.runs):
            raise MemoryError("no room")
        return train(self)

    requests = [pretrain_request(f"p{seed}", seed) for seed in range(4)]
    whole = run(*requests)
    monkeypatch.setattr(PretrainPack, "train_epoch", out_of_memory)
    outcomes = run(*requests)
    assert [type(outcome) for outcome in outcomes] == [StageOutput, StageFailure, StageOutput, StageOutput]
    for request in (0, 2, 3):
        assert_same(whole[request], outcomes[request])


def test_variants_of_one_seed_start_from_the_same_weights():
    (full,) = run(pretrain_request(pretrain={"optimizer": {"learning_rate": 1e-30}}))
    (variant,) = run(pretrain_request(masking={"mode": "channel"}, pretrain={"optimizer": {"learning_rate": 1e-30}}))
    np.testing.assert_array_equal(full.tensors["encoder.0.weight"], variant.tensors["encoder.0.weight"])
