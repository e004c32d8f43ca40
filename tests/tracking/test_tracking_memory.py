"""The memory tracker does what every tracker does; the base class does nothing at all."""

from tracker_conformance import COMPLETE, FULL, INPUTS, SPEC, VERSIONS, Conformance, Seen, record

from scmmlab.tracking import MemoryTracker, Tracker


class TestMemoryTracker(Conformance):
    def make(self, folder):
        self.kept = getattr(self, "kept", None) or MemoryTracker()
        self.cells = {}
        return self.kept

    def run(self, tracker, cell, epochs=3):
        self.cells[cell.key, cell.pretrain_key] = cell
        super().run(tracker, cell, epochs)

    def seen(self, tracker, folder):
        return Seen(
            tracker.name,
            tracker.complete,
            {name(told): state for told, state in tracker.states.items()},
            {
                (cell.name, stage): sorted(epochs)
                for (key, stage), epochs in tracker.epochs.items()
                for keys, cell in self.cells.items()
                if key in keys
            },
            {name(told): error for told, error in tracker.errors.items()},
            {number: trial.state for number, trial in tracker.tune_trials.items()},
            tracker.counts,
        )


def name(told):
    variant, transfer, seed = told
    return f"{variant} · {transfer} · {seed}"


def test_the_base_tracker_takes_everything_and_does_nothing(tmp_path):
    with Tracker() as tracker:
        tracker.start_study("small", SPEC, "", VERSIONS)
        tracker.start_cell(FULL, INPUTS)
        tracker.epoch(FULL.key, "finetune", 1, {})
        tracker.finish_cell(FULL, INPUTS, record(FULL))
        tracker.fail_cell(FULL, INPUTS, "")
        tracker.finish_tune_trial(COMPLETE)
        tracker.progress(1, 0, 1)
        tracker.finish_study(tmp_path, complete=True)
    assert list(tmp_path.iterdir()) == []
