"""What waits for a view is on disk, in order, and outlives a kill; the file stays small and ours alone."""

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tracker_conformance import BARE, BROKEN, COMPLETE, FULL, INPUTS, SPEC, VERSIONS, record

from scmmlab.tracking.event_lines import from_line, to_line
from scmmlab.tracking.events import (
    CellFailed,
    CellFinished,
    CellStarted,
    Epochs,
    Point,
    Progressed,
    ReportMade,
    ShownCell,
    StudyEnded,
    StudyStarted,
    TuneTrialEnded,
)
from scmmlab.tracking.spool import Spool
from scmmlab.tracking.writer import Writer

STARTED = StudyStarted("small", SPEC, "the plan", VERSIONS)
CELL = CellStarted(ShownCell.of(FULL), INPUTS)
OTHER = CellStarted(ShownCell.of(BARE), INPUTS)
ENDED = CellFinished(ShownCell.of(FULL), INPUTS, record(FULL), 7)


def epoch(number, key="k-full"):
    return Epochs(key, (Point("finetune", number, {"loss": 1.0 / number}, number),))


class Shown:
    """A view that notes what it is shown."""

    def __init__(self, down=False):
        self.events, self.down = [], down

    def write(self, event):
        if self.down:
            raise ConnectionError("the server is away")
        self.events.append(event)

    def reachable(self):
        return not self.down

    def may_pass(self, error):
        return True


@pytest.mark.parametrize(
    "event",
    [
        STARTED,
        CELL,
        Epochs("k", (Point("pretrain", 1, {"loss": 0.1 + 0.2}, 1), Point("probe", 2, {"probe": 1e-300}, 2))),
        ENDED,
        CellFailed(ShownCell.of(BARE), (), "línea"),
        TuneTrialEnded(COMPLETE, 3),
        TuneTrialEnded(BROKEN, 3),
        Progressed(1, 2, 3, 4, 0.5),
        ReportMade(Path("report")),
        StudyEnded(None),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_reads_back_as_it_was(event):
    line = to_line(event)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert from_line(line) == event


def test_figures_of_numpy_are_written_as_numbers():
    read = from_line(to_line(Epochs("k", (Point("probe", 1, {"loss": np.float32(0.5)}, 1),))))
    assert read == Epochs("k", (Point("probe", 1, {"loss": 0.5}, 1),))


@pytest.mark.parametrize("line", [b"{", b"[]", b"{}", b'{"event":"Nobody"}', b'{"event":"Epochs","key":1}', b"\xff"])
def test_what_is_no_event_is_refused(line):
    with pytest.raises(ValueError, match=r".+"):
        from_line(line)


def test_a_later_spool_takes_what_an_earlier_one_left_and_passes_over_what_was_cut_off(tmp_path, caplog):
    path = tmp_path / "spool.jsonl"
    first = Spool(path)
    first.append([STARTED, CELL, epoch(1)])
    assert first.take() == [STARTED, CELL, epoch(1)]
    first.append([epoch(2)])
    first.close(all_shown=False)
    with path.open("ab") as file:
        file.write(b"not a line of ours\n" + to_line(epoch(3)) + to_line(epoch(4))[:20])
    second = Spool(path)
    with caplog.at_level(logging.WARNING):
        assert second.take() == [STARTED, CELL, epoch(1), epoch(2), epoch(3)]
    assert "damaged" in caplog.text
    second.append([epoch(5)])
    assert second.take() == [epoch(5)]
    second.close(all_shown=True)
    assert not path.exists()


def test_what_is_shown_is_dropped_but_for_what_later_events_build_on(tmp_path):
    path = tmp_path / "spool.jsonl"
    spool = Spool(path)
    spool.append([STARTED, CELL, OTHER])
    for number in range(100):
        spool.append([epoch(50 * number + after) for after in range(1, 51)])
        spool.take()
        spool.settle()
    spool.append([ENDED])
    spool.take()
    assert path.stat().st_size < 2**19
    while path.stat().st_size > 2**14:  # until it is tidied once more
        spool.append([epoch(number) for number in range(1, 1000)])
        spool.take()
        spool.settle()
    assert [type(from_line(line)) for line in path.read_bytes().splitlines()] == [StudyStarted, CellStarted]
    assert from_line(path.read_bytes().splitlines()[1]) == OTHER
    spool.append([epoch(9, "k-bare")])
    spool.close(all_shown=False)
    assert Spool(path).take() == [STARTED, OTHER, epoch(9, "k-bare")]


def test_a_full_spool_leaves_epochs_out_before_results(tmp_path):
    size = len(to_line(ENDED)) * 4
    spool = Spool(tmp_path / "spool.jsonl", most_bytes=size)
    assert spool.append([CELL]) == 0
    left_out = sum(spool.append([epoch(number)]) for number in range(1, 1000))
    assert left_out > 0
    assert (tmp_path / "spool.jsonl").stat().st_size <= size // 2 + 1000
    assert spool.append([ENDED]) == 0
    assert sum(spool.append([ENDED]) for _ in range(5)) > 0
    assert (tmp_path / "spool.jsonl").stat().st_size <= size
    assert spool.take()[-1] == ENDED


def test_events_wait_in_memory_where_the_disk_takes_no_more(tmp_path, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that write() fails in place of a kill
    spool = Spool(tmp_path / "spool.jsonl")
    spool.append([STARTED, CELL])
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "spool.jsonl").stat().st_size + 50, hard))
        with caplog.at_level(logging.WARNING):
            spool.append([epoch(1)])
            spool.append([epoch(2)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert caplog.text.count("cannot write") == 1
    assert not spool.on_disk
    assert spool.take() == [STARTED, CELL]
    assert spool.take() == [epoch(1), epoch(2)]
    spool.settle()
    assert spool.on_disk, "there is room again"
    spool.append([epoch(3)])
    spool.close(all_shown=False)
    assert Spool(tmp_path / "spool.jsonl").take() == [STARTED, CELL, epoch(3)]


def test_a_second_run_leaves_the_spool_of_the_first_alone(tmp_path, caplog):
    path = tmp_path / "spool.jsonl"
    first = Spool(path)
    first.append([STARTED])
    with caplog.at_level(logging.WARNING):
        second = Spool(path)
    assert "Another run of this study" in caplog.text
    second.append([CELL])
    assert second.take() == [CELL]
    second.close(all_shown=True)
    assert path.read_bytes() == to_line(STARTED)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_view_has_not_taken_is_written_by_the_next_writer_in_order(tmp_path, caplog):
    path = tmp_path / "spool.jsonl"
    away = Writer(lambda: Shown(down=True), path, retry_s=0.01)
    for event in (STARTED, CELL, epoch(1), ENDED):
        away.put(event)
    with caplog.at_level(logging.WARNING):
        away.close()
    assert (away.kept, away.left_out) == (4, 0)
    assert "4 tracking events wait in" in caplog.text
    view = Shown()
    back = Writer(lambda: view, path, linger_s=0)
    back.put(OTHER)
    back.close()
    assert view.events == [STARTED, CELL, epoch(1), ENDED, OTHER]
    assert not path.exists()


def test_a_slow_view_does_not_hold_the_end_of_a_run_for_ever(tmp_path):
    class Slow(Shown):
        def write(self, event):
            time.sleep(0.05)
            super().write(event)

    view = Slow()
    writer = Writer(lambda: view, tmp_path / "spool.jsonl", longest_close_s=0.2)
    for number in range(200):
        writer.put(CellFailed(ShownCell.of(replace(FULL, key=str(number))), (), "x"))
    writer.close()
    assert writer.left_out == 0
    assert writer.kept > 0
    kept = Writer(lambda: view, tmp_path / "spool.jsonl")
    view.write = view.events.append
    kept.close()
    assert {event.cell.key for event in view.events} == {str(number) for number in range(200)}


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_tracking_spool import CELL, STARTED, Shown, Writer, epoch
writer = Writer(lambda: Shown(down=True), Path(sys.argv[1]))
writer.put(STARTED)
writer.put(CELL)
for number in range(1, 501):
    writer.put(epoch(number))
print("told", flush=True)
import time
time.sleep(600)
"""


@pytest.mark.slow
def test_a_killed_run_leaves_what_it_told(tmp_path):
    path = tmp_path / "spool.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path), str(Path(__file__).parent)], stdout=subprocess.PIPE
    ) as run:
        assert run.stdout.readline() == b"told\n"
        deadline = time.monotonic() + 60
        while not _holds(path, 500):
            assert time.monotonic() < deadline, "what was told is not on disk"
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
    view = Shown()
    Writer(lambda: view, path).close()
    assert view.events[:2] == [STARTED, CELL]
    assert [point.epoch for event in view.events[2:] for point in event.points] == list(range(1, 501))


def _holds(path, epochs):
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return sum(len(json.loads(line).get("points", ())) for line in lines) == epochs
