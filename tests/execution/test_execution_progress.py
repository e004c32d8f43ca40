"""The progress line."""

from __future__ import annotations

import io

import pytest

from scmmlab.execution.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def progress(stream: io.StringIO, clock: Clock) -> Progress:
    return Progress(4, {"a": 1.0, "b": 1.0, "c": 2.0}, done=1, stream=stream, clock=clock)


def test_time_left_follows_the_work_that_is_done():
    clock = Clock()
    shown = progress(io.StringIO(), clock)
    assert shown.seconds_left() is None
    shown.advance("a", 0.5)
    clock.now = 10.0
    assert shown.seconds_left() is None  # the first news only start the clock
    shown.advance("a", 1.0)
    assert shown.seconds_left() == pytest.approx(3.0 / 0.5 * 10.0)
    assert "1/4 cells done · 0 running · about 1 min left" in shown.text()


def test_terminal_gets_one_line_that_is_drawn_again():
    stream, clock = Terminal(), Clock()
    shown = progress(stream, clock)
    shown.counts(1, 2, 0)
    shown.counts(2, 1, 0)  # too soon
    clock.now = 1.0
    shown.counts(2, 1, 1)
    shown.close()
    assert stream.getvalue().split("\r")[1:] == [
        "1/4 cells done · 2 running",
        "2/4 cells done · 1 running · 1 failed",
        "2/4 cells done · 1 running · 1 failed\n",
    ]


def test_shorter_line_covers_the_longer_one_before():
    stream, clock = Terminal(), Clock()
    shown = progress(stream, clock)
    shown.note("starting Ray")
    shown.note("")
    shown.close()
    lines = stream.getvalue().rstrip("\n").split("\r")[1:]
    assert len(lines[1]) == len(lines[0])


def test_without_terminal_there_are_plain_lines_when_cells_end_and_now_and_then():
    stream, clock = io.StringIO(), Clock()
    shown = progress(stream, clock)
    for second in range(25):
        clock.now = float(second)
        shown.counts(1 if second < 12 else 2, second % 2, 0)
    shown.close()
    assert [line.split(" · ")[0] for line in stream.getvalue().splitlines()] == [
        "1/4 cells done",
        "1/4 cells done",
        "2/4 cells done",
        "2/4 cells done",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.4, "4 s"), (59.6, "1 min"), (200, "3 min 20 s"), (1834, "31 min"), (7500, "2 h 5 min")],
)
def test_durations_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text
