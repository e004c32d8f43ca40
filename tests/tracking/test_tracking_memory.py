"""The memory tracker does what every tracker does; the base class does nothing at all."""

from tracker_conformance import FULL, VERSIONS, Conformance, Seen, record

from scmmlab.tracking import MemoryTracker, Tracker


class TestMemoryTracker(Conformance):
    def make(self, folder):
        self.kept = getattr(self, "kept", None) or MemoryTracker()
        return self.kept

    def seen(self, tracker, folder):
        names = {cell.key: cell.name for cell in tracker.cells.values()}
        return Seen(
            tracker.name,
            tracker.complete,
            {names[key]: state for key, state in tracker.state.items()},
            {
                (cell.name, stage): sorted(epochs)
                for (key, stage), epochs in tracker.epochs.items()
                for cell in tracker.cells.values()
                if key in (cell.key, cell.pretrain_key)
            },
            {names[key]: error for key, error in tracker.errors.items()},
        )


def test_the_base_tracker_takes_everything_and_does_nothing(tmp_path):
    with Tracker() as tracker:
        tracker.start_study("small", "", "", VERSIONS)
        tracker.start_cell(FULL)
        tracker.epoch(FULL.key, "finetune", 1, {})
        tracker.finish_cell(FULL, record(FULL))
        tracker.fail_cell(FULL, "")
        tracker.finish_study(tmp_path)
    assert list(tmp_path.iterdir()) == []
