"""Events are written once, in order, whatever the view does, and nobody waits for it."""

import logging
import threading
import time

import pytest
from tracker_conformance import BARE as BARE_CELL
from tracker_conformance import FULL as FULL_CELL
from tracker_conformance import record

from scmmlab.tracking.events import (
    CellFailed,
    CellFinished,
    CellStarted,
    Epochs,
    Point,
    ShownCell,
    StudyEnded,
    StudyStarted,
    merged,
)
from scmmlab.tracking.writer import Writer

FULL, BARE = ShownCell.of(FULL_CELL), ShownCell.of(BARE_CELL)


def epochs(key, *numbers):
    return Epochs(key, tuple(Point("finetune", number, {"loss": 1.0 / number}, 0) for number in numbers))


class FakeView:
    """Notes what is written; fails as it is told."""

    def __init__(self):
        self.written = []
        self.failures = 0
        self.down = False
        self.refused = ()
        self.gate = threading.Event()
        self.gate.set()
        self.tried = threading.Event()

    def write(self, event):
        self.gate.wait(60)
        self.tried.set()
        if self.down or self.failures > 0:
            self.failures -= 1
            raise ConnectionError("the server is away")
        if event in self.refused:
            raise ValueError("no such thing")
        self.written.append(event)

    def reachable(self):
        return not self.down

    def may_pass(self, error):
        return isinstance(error, OSError)


@pytest.fixture
def view():
    return FakeView()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("scmmlab.tracking.writer._FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("scmmlab.tracking.writer._LONGEST_PAUSE_S", 0.001)


def test_events_are_written_in_order(view):
    writer = Writer(lambda: view, linger_s=0)
    events = [CellStarted(FULL, ()), epochs("k-full", 1), CellFailed(FULL, (), "x"), CellStarted(BARE, ())]
    for event in events:
        writer.put(event)
    writer.close()
    assert view.written == events
    assert (writer.errors, writer.dropped) == (0, 0)


def test_what_waits_is_gathered_into_one_request(view):
    view.gate.clear()
    writer = Writer(lambda: view, linger_s=60)
    for epoch in range(1, 1001):
        writer.put(epochs("a", epoch))
        writer.put(epochs("b", epoch))
    view.gate.set()
    writer.close()  # does not wait for the linger
    assert [event.key for event in view.written] == ["a", "b"]
    assert [point.epoch for point in view.written[0].points] == list(range(1, 1001))


def test_nothing_moves_past_another_kind_of_event():
    events = [epochs("a", 1), epochs("b", 1), epochs("a", 2), CellFailed(FULL, (), "x"), epochs("a", 3)]
    assert merged(events) == [epochs("a", 1, 2), epochs("b", 1), CellFailed(FULL, (), "x"), epochs("a", 3)]


def test_putting_never_waits_for_the_view(view):
    view.gate.clear()
    writer = Writer(lambda: view, linger_s=0)
    for epoch in range(1, 2000):
        writer.put(epochs("a", epoch))
    assert view.written == []
    view.gate.set()
    writer.close()
    assert sum(len(event.points) for event in view.written) == 1999


def test_an_event_is_tried_again_until_the_view_answers(view, quick, caplog):
    view.down = True
    writer = Writer(lambda: view)
    events = [CellStarted(FULL, ()), CellFinished(FULL, (), record(FULL_CELL), 0)]
    with caplog.at_level(logging.WARNING):
        for event in events:
            writer.put(event)
        assert view.tried.wait(60)
        while writer.errors < 5:
            view.tried.clear()
            assert view.tried.wait(60)
        view.down = False
        writer.close()
    assert view.written == events
    assert writer.dropped == 0
    assert caplog.text.count("Cannot write to MLflow, will retry; the study goes on") == 1
    assert "the server is away" in caplog.text


def test_an_event_that_is_refused_is_dropped_and_the_others_go_on(view, quick, caplog):
    bad = CellFailed(FULL, (), "bad")
    view.refused = (bad,)
    writer = Writer(lambda: view)
    for event in (CellStarted(FULL, ()), bad, CellStarted(BARE, ())):
        writer.put(event)
    with caplog.at_level(logging.WARNING):
        writer.close()
    assert view.written == [CellStarted(FULL, ()), CellStarted(BARE, ())]
    assert "1 tracking events were not written" in caplog.text


def test_closing_gives_up_a_view_that_stays_away(view, caplog):
    view.down = True
    writer = Writer(lambda: view, retry_s=0.01)
    for event in (CellStarted(FULL, ()), CellStarted(BARE, ())):
        writer.put(event)
    with caplog.at_level(logging.WARNING):
        writer.close()
    assert view.written == []
    assert "2 tracking events were not written" in caplog.text
    writer.put(CellStarted(FULL, ()))
    writer.close()


def test_a_view_that_cannot_be_made_is_tried_again(view, quick):
    attempts = []

    def make():
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("no such database")
        return view

    writer = Writer(make)
    writer.put(CellStarted(FULL, ()))
    writer.close()
    assert view.written == [CellStarted(FULL, ())]


def test_memory_is_bounded_while_the_view_is_away(view):
    view.gate.clear()
    writer = Writer(lambda: view, linger_s=0, most_points=10)
    writer.put(CellStarted(FULL, ()))
    for epoch in range(1, 101):
        writer.put(epochs("a", epoch))
    dropped = writer.dropped
    view.gate.set()
    writer.close()
    assert dropped >= 80
    assert sum(len(event.points) for event in view.written if isinstance(event, Epochs)) == 100 - dropped


def test_results_are_bounded_too_but_never_what_they_build_on_or_the_end(view):
    view.gate.clear()
    writer = Writer(lambda: view, most_results=3)
    started, ended = StudyStarted("small", {}, "the plan", {}), StudyEnded(True)
    writer.put(started)
    results = [CellFailed(FULL, (), str(number)) for number in range(10)]
    for event in results:
        writer.put(event)
    writer.put(ended)
    view.gate.set()
    writer.close()
    assert (view.written[0], view.written[-1]) == (started, ended)
    assert view.written[1:-1] == results[: len(view.written) - 2]
    assert writer.dropped == len(results) - (len(view.written) - 2) >= 7


def test_there_is_room_again_when_the_view_is_back(view, quick):
    view.down = True
    writer = Writer(lambda: view, most_points=10, most_results=10)
    for epoch in range(1, 101):
        writer.put(epochs("a", epoch))
    view.down = False
    while not view.written:
        view.tried.wait(0.01)
    deadline = time.monotonic() + 60
    late = epochs("b", 1)
    while writer.dropped and time.monotonic() < deadline:
        before = writer.dropped
        writer.put(late)
        if writer.dropped == before:
            break
    writer.close()
    assert view.written[-1].key == "b"


def test_a_slow_view_does_not_hold_the_end_of_a_run_for_ever(view, caplog):
    slow = threading.Event()
    write, view.write = view.write, lambda event: (slow.wait(0.05), write(event))
    writer = Writer(lambda: view, longest_close_s=0.2)
    events = [CellFailed(FULL, (), str(number)) for number in range(200)]
    for event in events:
        writer.put(event)
    with caplog.at_level(logging.WARNING):
        writer.close()
    assert view.written == events[: len(view.written)]
    assert writer.dropped == 200 - len(view.written) > 0
    assert "'scmmlab mlflow sync' writes them to MLflow" in caplog.text
