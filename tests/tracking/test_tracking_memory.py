from scmmlab.tracking import MemoryTracker, Tracker
from tracking.tracker_conformance import TrackerConformance


class TestMemoryTracker(TrackerConformance):
    def make_tracker(self) -> Tracker:
        return MemoryTracker()

    def remembered(self, tracker: Tracker) -> dict[tuple[str, int], str]:
        assert isinstance(tracker, MemoryTracker)
        return {(variant, seed): state for (variant, _, seed), state in tracker.states.items()}
