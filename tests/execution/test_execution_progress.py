"""The progress line."""

from __future__ import annotations

import io

import pytest

from scmmlab.config import AshaSpec
from scmmlab.execution.progress import JOIN_S, Progress, duration, progress_maker
from scmmlab.execution.sweep.rungs import Rungs


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
    clock.now = 60.0  # start-up, which says nothing about the pace
    shown.begin()
    assert shown.seconds_left() is None
    clock.now = 70.0
    shown.advance("a", 0.5)
    assert shown.seconds_left() == pytest.approx(3.5 / 0.5 * 10.0)
    assert "1/4 cells done · 0 running · about 1 min 10 s left" in shown.text()


def test_news_that_come_together_took_as_long_together():
    clock = Clock()
    shown = progress(io.StringIO(), clock)
    shown.begin()
    clock.now = 10.0
    shown.advance("a", 0.5)
    shown.advance("b", 0.5)
    assert shown.seconds_left() == pytest.approx(30.0)


def test_what_an_earlier_run_did_is_no_part_of_the_pace():
    clock = Clock()
    shown = progress(io.StringIO(), clock)
    shown.begin()
    shown.resume("c")
    clock.now = 10.0
    shown.advance("a", 1.0)
    shown.advance("c", 0.9)
    assert shown.seconds_left() == pytest.approx(1.2 / 1.0 * 10.0)


def test_failed_work_is_not_done_and_not_to_be_done():
    clock = Clock()
    shown = progress(io.StringIO(), clock)
    shown.begin()
    clock.now = 10.0
    shown.advance("a", 1.0)
    shown.end("c")
    assert shown.seconds_left() == pytest.approx(10.0)


def test_groups_of_workers_have_paces_of_their_own_and_the_slower_decides():
    clock = Clock()
    shown = progress(io.StringIO(), clock)
    shown.advance("a", 0.5)  # before it was known who does what
    shown.separate({"a": "any", "b": "any", "c": "cpu"})
    shown.begin("worker 0", "a")
    clock.now = 10.0
    shown.advance("a", 1.0)
    assert shown.seconds_left() is None, "nobody knows how long the other group takes"
    shown.begin("worker 1", "c")
    clock.now = 20.0
    shown.advance("b", 0.5)
    shown.advance("c", 0.5)
    assert shown.seconds_left() == pytest.approx(max(0.5 / 1.0 * 20.0, 1.0 / 1.0 * 10.0))
    shown.advance("c", 0.8)
    clock.now = 30.0
    shown.advance("c", 1.0)
    assert shown.seconds_left() == pytest.approx(0.5 / 0.5 * 20.0), "the other has nothing left"


def test_workers_that_are_on_their_way_are_in_the_first_estimates():
    """One worker for 20 s, four from then on: by the pace of all the first estimates would be four times too high."""
    clock, cells = Clock(), [str(number) for number in range(40)]
    shown = Progress(40, dict.fromkeys(cells, 1.0), stream=io.StringIO(), clock=clock)
    shown.expect(4)
    shown.begin("worker 0")
    done, ratios = 0.0, []
    finish = 20 + (40 - 2) / 0.4
    while done < 39:
        if clock.now == 20:
            for worker in ("worker 1", "worker 2", "worker 3"):
                shown.begin(worker)
        clock.now += 1.0
        done += 0.1 if clock.now <= 20 else 0.4
        for number, cell in enumerate(cells):
            shown.advance(cell, max(0.0, min(1.0, done - number)))
        if (left := shown.seconds_left()) is not None:
            ratios.append(left / (finish - clock.now))
    assert len(ratios) > 100
    assert all(0.7 < ratio < 1.4 for ratio in ratios)


def test_workers_that_never_come_are_not_counted_on_for_ever():
    clock = Clock()
    shown = progress(io.StringIO(), clock)
    shown.expect(4)
    shown.begin("worker 0")
    clock.now = JOIN_S - 1
    shown.advance("a", 1.0)
    assert shown.seconds_left() == pytest.approx(3 * clock.now / 4)
    clock.now = JOIN_S + 1
    assert shown.seconds_left() == pytest.approx(3 * clock.now)


def test_pace_of_the_beginning_is_forgotten():
    clock, cells = Clock(), [str(number) for number in range(40)]
    shown = Progress(40, dict.fromkeys(cells, 1.0), stream=io.StringIO(), clock=clock)
    done = 0.0
    while done < 20:
        clock.now += 1.0
        done += 0.1 if clock.now <= 20 else 0.4
        for number, cell in enumerate(cells):
            shown.advance(cell, max(0.0, min(1.0, done - number)))
    assert shown.seconds_left() == pytest.approx(20 / 0.4, rel=0.1)


def test_first_estimates_of_a_sweep_expect_most_settings_to_be_stopped():
    """As the demo's sweep: 16 settings of 27 epochs at four a time, of which one in three passes each rung."""
    rungs, clock = Rungs(AshaSpec(grace_epochs=3, reduction_factor=3), 27), Clock()
    shown = Progress(
        16, {str(n): 1.0 for n in range(16)}, ends_at=rungs.expected_end, stream=io.StringIO(), clock=clock
    )
    lengths = [27, 3, 3, 9, 3, 3, 27, 3, 9, 3, 3, 3, 9, 3, 3, 27]
    shown.begin()
    lanes, waiting, estimates = {}, list(range(16)), {}
    while waiting or lanes:
        while waiting and len(lanes) < 4:
            lanes[waiting.pop(0)] = 0
        clock.now += 1.0  # an epoch of all
        for number in list(lanes):
            lanes[number] += 1
            shown.advance(str(number), lanes[number] / 27)
            if lanes[number] == lengths[number]:
                shown.end(str(number))
                del lanes[number]
        estimates[clock.now] = shown.seconds_left()
    first = estimates[3.0] / (clock.now - 3.0)
    assert 0.4 < first < 1.5, "with all settings to the end it would be 2.4 times too high"


@pytest.mark.parametrize("share", [0.0, 0.05, 1 / 9, 0.3, 0.5, 1.0])
def test_expected_end_lies_before_the_end_and_not_before_what_is_reached(share):
    asha = AshaSpec(grace_epochs=3, reduction_factor=3)
    assert share <= Rungs(asha, 27).expected_end(share) <= 1.0
    assert Rungs(None, 27).expected_end(share) == pytest.approx(1.0)
    assert Rungs(asha, 27).expected_end(0.0) == pytest.approx((3 + 6 / 3 + 18 / 9) / 27)


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
    shown.status("starting Ray")
    shown.status("")
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
    [(4.4, "4 s"), (59.6, "1 min"), (200, "3 min 20 s"), (1834, "31 min"), (7500, "2 h 5 min"), (360_000, "4 days")],
)
def test_durations_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_a_function_is_told_what_the_line_would_show() -> None:
    clock, heard = Clock(), []
    shown = progress_maker(heard.append)(4, {"a": 1.0, "b": 1.0, "c": 2.0}, done=1, clock=clock)
    shown.begin()
    clock.now = 10.0
    shown.advance("a", 0.5)
    shown.print("a worker was lost")
    shown.counts(2, 1, 1)
    shown.close()
    assert [(told.total, told.done, told.running, told.failed) for told in heard] == [
        (4, 1, 0, 0),
        (4, 1, 0, 0),
        (4, 2, 1, 1),
    ]
    assert heard[1].text == "a worker was lost"
    assert heard[-1].seconds_left == pytest.approx(3.5 / 0.5 * 10.0)
    assert heard[-1].text == shown.text()


def test_without_a_function_nothing_is_shown(capsys) -> None:
    shown = progress_maker(False)(4, {"a": 1.0})
    shown.print("a worker was lost")
    shown.advance("a", 1.0)
    shown.close()
    assert capsys.readouterr() == ("", "")
    assert progress_maker(True) is Progress
