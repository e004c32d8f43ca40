"""What every tracker must do; a test class inherits it and says what it remembers."""

from __future__ import annotations

from typing import Any

from scmmlab.config import CorpusSelection, ExperimentSpec, TransferSpec
from scmmlab.study.cells import Cell
from scmmlab.tracking import DataInput, Tracker, TuneTrialRecord

METRICS = {"accuracy": 0.75, "balanced_accuracy": 0.7, "macro_f1": 0.7, "macro_auroc": 0.8, "cohen_kappa": 0.4}
INPUTS = (
    DataInput("source", "eegmat", "shipped:eegmat", "a" * 64, 4392),
    DataInput("target", "eegmat", "shipped:eegmat", "a" * 64, 4392),
)


def example_cell(variant: str = "full", seed: int = 0, key: str | None = None) -> Cell:
    selection = CorpusSelection(table="shipped:eegmat")
    return Cell(
        variant=variant,
        transfer=TransferSpec(name="a-to-b", source=selection, target=selection),
        seed=seed,
        experiment=ExperimentSpec(),
        channels=("Fp1", "Fp2"),
        key=key or f"key-{variant}-{seed}",
        pretrain_key=f"pretrain-{variant}-{seed}",
    )


def example_record(epochs: int = 3, leaks: tuple[str, ...] = ()) -> dict[str, Any]:
    fold = {
        "name": "subjects 18-20",
        "subjects": [18, 19, 20],
        "windows": {"finetune": 100, "validation": 20, "test": 40},
        "epoch": epochs,
        "validation": METRICS,
        "test": METRICS,
        "confusion": [[15, 5], [5, 15]],
        "by_subject": {"18": METRICS, "19": METRICS, "20": METRICS},
    }
    return {
        "classes": ["rest", "arithmetic"],
        "leaks": list(leaks),
        "folds": [fold, {**fold, "name": "subjects 21-23", "validation": None}],
        "curves": {
            "pretrain": [{"epoch": e + 1, "loss": 1 / (e + 1), "contrast": 1.0} for e in range(epochs)],
            "finetune": [{"epoch": e + 1, "loss": 0.5, "validation_balanced_accuracy": None} for e in range(epochs)],
        },
    }


def tell(tracker: Tracker, epochs: int = 3) -> None:
    """A study of three cells, of which one fails, and two settings of a sweep."""
    tracker.start_study(
        "demo", {"name": "demo", "description": "a test"}, "the plan", {"scmmlab": "0", "commit": "abc"}
    )
    good, failing, twin = example_cell(), example_cell("no_contrast"), example_cell("twin", key="key-full-0")
    for cell in (good, failing, twin):
        tracker.start_cell(cell, INPUTS)
    tracker.finish_cell(good, INPUTS, example_record(epochs))
    tracker.fail_cell(failing, INPUTS, "loss is not finite in epoch 2")
    tracker.finish_cell(twin, INPUTS, example_record(epochs, leaks=("epoch chosen on test labels",)))
    tracker.finish_tune_trial(TuneTrialRecord(0, "t0", {"masking.ratio": 0.3}, ((3, 0.5), (6, 0.6)), 0.6, "complete"))
    tracker.finish_tune_trial(TuneTrialRecord(1, "t1", {"masking.ratio": 0.9}, ((3, 0.4),), None, "pruned"))
    tracker.progress(2, 1, 3)


class TrackerConformance:
    """Inherit, and define `remembered(tracker)`: (variant, seed) → state, after `tell` and `close`."""

    def make_tracker(self) -> Tracker:
        raise AssertionError("a conformance test says how its tracker is made")

    def remembered(self, tracker: Tracker) -> dict[tuple[str, int], str]:
        raise AssertionError("a conformance test says what its tracker remembers")

    def test_the_state_of_every_cell_is_remembered(self) -> None:
        with self.make_tracker() as tracker:
            tell(tracker)
            tracker.finish_study(None, complete=False)
        states = self.remembered(tracker)
        assert states == {("full", 0): "finished", ("no_contrast", 0): "failed", ("twin", 0): "finished"}

    def test_telling_twice_remembers_once(self) -> None:
        for _ in range(2):
            with self.make_tracker() as tracker:
                tell(tracker)
                tracker.finish_study(None, complete=False)
        assert len(self.remembered(tracker)) == 3

    def test_a_cell_that_failed_and_then_finished_is_finished(self) -> None:
        with self.make_tracker() as tracker:
            tell(tracker)
            tracker.finish_cell(example_cell("no_contrast"), INPUTS, example_record())
        assert self.remembered(tracker)["no_contrast", 0] == "finished"
