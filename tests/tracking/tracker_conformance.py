"""What every tracker does; `Conformance` is inherited by the test of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scmmlab.config import CorpusSelection, TransferSpec
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.study import TuneTrialRecord
from scmmlab.tracking import DataInput, Tracker

METRICS = ("accuracy", "balanced_accuracy")


TRANSFER = TransferSpec(name="a-to-b", source=CorpusSelection(table="a"), target=CorpusSelection(table="b"))
EXPERIMENT = ScmmSpec()


@dataclass(frozen=True)
class FakeCell:
    """A cell as trackers see it."""

    variant: str
    seed: int
    key: str
    pretrain_key: str | None
    transfer: TransferSpec = TRANSFER
    experiment: ScmmSpec = EXPERIMENT
    channels: tuple[str, ...] = ("Fp1", "Fp2")

    @property
    def name(self) -> str:
        return f"{self.variant} · {self.transfer.name} · {self.seed}"


FULL = FakeCell("full", 0, "k-full", "p-shared")
FROZEN = FakeCell("frozen", 0, "k-frozen", "p-shared")
BARE = FakeCell("bare", 0, "k-bare", None)
INPUTS = tuple(
    DataInput(role, corpus, f"/home/jane/{corpus}", f"{corpus}-fingerprint" * 3, 100)
    for role, corpus in (("source", "a"), ("target", "b"))
)
SPEC = {"name": "small", "description": "what it asks", "transfers": [{"source": {"table": "/home/jane/a"}}]}
VERSIONS = {"scmmlab": "0.1", "commit": "0123abc"}
COMPLETE = TuneTrialRecord(0, "t0", {"masking.ratio": 0.3}, ((3, 0.5), (6, 0.6)), 0.6, "complete")
PRUNED = TuneTrialRecord(1, "t1", {"masking.ratio": 0.9}, ((3, 0.4),), None, "pruned")
BROKEN = TuneTrialRecord(2, "t2", {"masking.ratio": 0.8}, (), None, "failed", "the loss is not finite")


def record(cell: FakeCell, epochs: int = 3, leaks: tuple[str, ...] = ()) -> dict[str, Any]:
    """A record of the evaluate stage."""
    folds = [
        {
            "name": f"subject {subject}",
            "subjects": [subject],
            "windows": {"finetune": 30, "validation": 10, "test": 20},
            "epoch": epochs,
            "validation": dict.fromkeys(METRICS, 0.75),
            "test": {"accuracy": 0.5 + subject / 4, "balanced_accuracy": None if subject else 0.25},
            "confusion": [[6, 4], [2, 8]],
        }
        for subject in (0, 1)
    ]
    pretrain = [{"epoch": epoch, "loss": 1.0 / epoch} for epoch in range(1, epochs + 1)] if cell.pretrain_key else []
    finetune = [{"epoch": epoch, "loss": 2.0 / epoch, "train_accuracy": 0.5} for epoch in range(1, epochs + 1)]
    return {
        "folds": folds,
        "classes": ["rest", "task"],
        "leaks": list(leaks),
        "curves": {"pretrain": pretrain, "finetune": finetune},
    }


@dataclass
class Seen:
    """What a tracker shows of a study."""

    name: str
    complete: bool | None
    cells: dict[str, str]
    """State by name: running, finished, failed."""
    epochs: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """(name, stage) → epochs that are shown, each as often as it is."""
    errors: dict[str, str] = field(default_factory=dict)
    """Errors of failed cells by name."""
    trials: dict[int, str] = field(default_factory=dict)
    """State by number: complete, pruned, failed."""
    counts: tuple[int, int, int] = (0, 0, 0)
    """Finished, failed, total."""


class Conformance:
    """Inherited by the test of each tracker, which says how to make one and what it shows."""

    def make(self, folder: Path) -> Tracker:
        """A tracker; of the same folder, one that goes on."""
        raise AssertionError("the test of a tracker says how to make it")

    def seen(self, tracker: Tracker, folder: Path) -> Seen:
        """What a closed tracker shows."""
        raise AssertionError("the test of a tracker says what it shows")

    def start(self, folder: Path) -> Tracker:
        tracker = self.make(folder)
        tracker.start_study("small", SPEC, "the plan", VERSIONS)
        return tracker

    def run(self, tracker: Tracker, cell: FakeCell, epochs: int = 3) -> None:
        tracker.start_cell(cell, INPUTS)
        if cell.pretrain_key:
            for epoch in range(1, epochs + 1):
                tracker.epoch(cell.pretrain_key, "pretrain", epoch, {"loss": 1.0 / epoch})
        for epoch in range(1, epochs + 1):
            tracker.epoch(cell.key, "finetune", epoch, {"loss": 2.0 / epoch, "train_accuracy": 0.5})
        tracker.finish_cell(cell, INPUTS, record(cell, epochs))

    def test_a_study_shows_its_cells_curves_and_end(self, tmp_path):
        tracker = self.start(tmp_path)
        self.run(tracker, FULL)
        self.run(tracker, BARE)
        tracker.finish_study(None, complete=True)
        tracker.close()
        seen = self.seen(tracker, tmp_path)
        assert (seen.name, seen.complete) == ("small", True)
        assert seen.cells == {FULL.name: "finished", BARE.name: "finished"}
        assert seen.epochs[FULL.name, "pretrain"] == [1, 2, 3]
        assert seen.epochs[FULL.name, "finetune"] == [1, 2, 3]
        assert (BARE.name, "pretrain") not in seen.epochs

    def test_running_a_study_again_shows_nothing_twice(self, tmp_path):
        for _ in range(2):
            tracker = self.start(tmp_path)
            self.run(tracker, FULL)
            tracker.finish_study(None, complete=True)
            tracker.close()
        seen = self.seen(tracker, tmp_path)
        assert seen.cells == {FULL.name: "finished"}
        assert seen.epochs[FULL.name, "finetune"] == [1, 2, 3]

    def test_a_cell_goes_on_after_an_interruption_without_a_doubled_epoch(self, tmp_path):
        tracker = self.start(tmp_path)
        tracker.start_cell(FULL, INPUTS)
        for epoch in (1, 2):
            tracker.epoch(FULL.key, "finetune", epoch, {"loss": 2.0 / epoch, "train_accuracy": 0.5})
        tracker.close()
        tracker = self.start(tmp_path)
        self.run(tracker, FULL)
        tracker.finish_study(None, complete=True)
        tracker.close()
        seen = self.seen(tracker, tmp_path)
        assert seen.cells == {FULL.name: "finished"}
        assert seen.epochs[FULL.name, "finetune"] == [1, 2, 3]

    def test_a_failed_cell_may_be_finished_later(self, tmp_path):
        tracker = self.start(tmp_path)
        tracker.start_cell(FULL, INPUTS)
        tracker.fail_cell(FULL, INPUTS, "the loss is not finite")
        tracker.finish_study(None, complete=False)
        tracker.close()
        seen = self.seen(tracker, tmp_path)
        assert seen.cells == {FULL.name: "failed"}
        assert seen.errors == {FULL.name: "the loss is not finite"}
        assert seen.complete is False
        tracker = self.start(tmp_path)
        self.run(tracker, FULL)
        tracker.finish_study(None, complete=True)
        tracker.close()
        seen = self.seen(tracker, tmp_path)
        assert seen.cells == {FULL.name: "finished"}
        assert seen.errors == {}
        assert seen.complete is True

    def test_a_cell_that_was_never_started_may_fail_or_be_finished(self, tmp_path):
        tracker = self.start(tmp_path)
        tracker.finish_cell(FULL, INPUTS, record(FULL))
        tracker.fail_cell(BARE, INPUTS, "its pre-training failed")
        tracker.finish_study(None, complete=False)
        tracker.close()
        assert self.seen(tracker, tmp_path).cells == {FULL.name: "finished", BARE.name: "failed"}

    def test_epochs_of_an_unknown_key_disturb_nothing(self, tmp_path):
        tracker = self.start(tmp_path)
        tracker.epoch("nobody", "pretrain", 1, {"loss": 1.0})
        self.run(tracker, BARE)
        tracker.finish_study(None, complete=True)
        tracker.close()
        assert self.seen(tracker, tmp_path).cells == {BARE.name: "finished"}

    def test_every_setting_of_a_sweep_is_shown_once(self, tmp_path):
        for _ in range(2):
            with self.start(tmp_path) as tracker:
                for trial in (COMPLETE, PRUNED, BROKEN):
                    tracker.finish_tune_trial(trial)
                tracker.progress(2, 1, 3)
                tracker.finish_study(None, complete=False)
        seen = self.seen(tracker, tmp_path)
        assert seen.trials == {0: "complete", 1: "pruned", 2: "failed"}
        assert seen.counts == (2, 1, 3)

    def test_cells_of_one_key_are_shown_each_by_its_name(self, tmp_path):
        twin = replace(FULL, variant="twin")
        with self.start(tmp_path) as tracker:
            self.run(tracker, FULL)
            tracker.finish_cell(twin, INPUTS, record(twin))
            tracker.finish_study(None, complete=True)
        assert self.seen(tracker, tmp_path).cells == {FULL.name: "finished", twin.name: "finished"}

    def test_closing_twice_does_nothing(self, tmp_path):
        with self.start(tmp_path) as tracker:
            tracker.finish_study(None, complete=True)
        tracker.close()
