"""One driver at a time has a study: on a folder and on S3, with real processes that are killed, stopped and refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from scmmlab.errors import StoreError
from scmmlab.study import ResultStore, StudyFolder, lease_holders, study_lease
from scmmlab.study.claims import Claim, Claims, SeenClaim, Watch
from scmmlab.study.files import Files
from scmmlab.study.processes import ProcessName, is_there, this_process

LEASE_S = 6.0
LONG_LEASE_S = 60.0
"""For drivers that are not to be taken for gone, however slow this machine is."""
HEARTBEAT_S = 0.5

DRIVER = """
import sys, time
from scmmlab.study import ResultStore, study_lease
from scmmlab.errors import StoreError
folder = ResultStore(sys.argv[1]).study_folder("demo")
try:
    with study_lease(folder, "demo", "wait", lease_s=float(sys.argv[2]), heartbeat_s=0.5) as lease:
        lease.publish({"k1": "pretrain, epoch 3"})
        print("has it", flush=True)
        sys.stdin.readline()
        time.sleep(3 * 0.5 + 2)  # a heartbeat is due
except StoreError as error:
    print(error, flush=True)
    sys.exit(2)
"""


@pytest.fixture(params=[pytest.param(place, marks=pytest.mark.slow) for place in ("folder", "s3")])
def uri(request, tmp_path) -> str:
    return request.getfixturevalue("s3").uri(tmp_path.name) if request.param == "s3" else str(tmp_path / "runs")


@contextmanager
def driver_elsewhere(uri: str) -> Iterator[subprocess.Popen[str]]:
    """A driver in a process of its own, which has the study."""
    command = [sys.executable, "-c", DRIVER, uri, str(LEASE_S)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "has it\n"
            yield process
        finally:
            process.kill()


def folder_of(uri: str) -> StudyFolder:
    return ResultStore(uri).study_folder("demo")


def drive(uri: str, lease_s: float = LEASE_S):
    return study_lease(folder_of(uri), "demo", "wait", lease_s=lease_s, heartbeat_s=HEARTBEAT_S)


def until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_second_driver_says_that_the_first_is_at_it_and_writes_nothing(uri) -> None:
    refused = pytest.raises(StoreError, match=r"'demo' .* is already running: .* since \d{4}-.* UTC")
    with driver_elsewhere(uri):
        with refused as caught, drive(uri, LONG_LEASE_S):
            raise AssertionError("two drivers have one study")
        assert caught.value.hint == "wait"
        assert len(folder_of(uri).claims().seen()) == 1
        until(lambda: [dict(seen.claim.active_cells) for seen in lease_holders(folder_of(uri))[0]] == [
            {"k1": "pretrain, epoch 3"}
        ])  # fmt: skip


def test_a_claim_that_is_rewritten_while_it_is_read_is_read_again(uri, monkeypatch) -> None:
    """S3 is asked for an object's size first: a longer one that takes its place then is read without its end."""
    read, torn = Files.read, []

    def read_torn(self, name):
        data = read(self, name)
        if torn or not name.endswith(f"{first}.json"):
            return data
        torn.append(name)
        return data[:-10]

    with driver_elsewhere(uri):
        (first,) = folder_of(uri).claims().seen()
        monkeypatch.setattr(Files, "read", read_torn)
        with pytest.raises(StoreError, match="is already running"), drive(uri, LONG_LEASE_S):
            raise AssertionError("two drivers have one study")
        assert torn


def test_a_driver_that_was_killed_blocks_nobody_on_its_machine(uri) -> None:
    with driver_elsewhere(uri) as process:
        until(lambda: any(seen.claim.active_cells for seen in lease_holders(folder_of(uri))[0]))
        process.kill()
        process.wait()
        live, gone = lease_holders(folder_of(uri))
        assert live == []
        assert [list(seen.claim.active_cells) for seen in gone] == [["k1"]]
        begun = time.monotonic()
        with drive(uri, LONG_LEASE_S):
            assert time.monotonic() - begun < LEASE_S
            assert len(folder_of(uri).claims().seen()) == 1
    assert folder_of(uri).claims().seen() == {}


def written_elsewhere(uri: str, **changes: object) -> tuple[Claims, Claim]:
    """A claim that says of itself that it is of another machine."""
    claims = folder_of(uri).claims()
    claim = Claim("0" * 32, "holding", "2026-01-01 00:00:00 UTC", ProcessName("another", os.getpid(), 1))
    claim = replace(claim, **changes)
    claims.write(claim)
    return claims, claim


def test_a_silent_driver_on_another_machine_blocks_for_the_lease_and_no_longer(uri) -> None:
    written_elsewhere(uri)
    begun = time.monotonic()
    with drive(uri):
        waited = time.monotonic() - begun
        assert list(folder_of(uri).claims().seen()) != ["0" * 32]
    # S3 tells times to the second
    assert LEASE_S - 1.5 < waited < LEASE_S + 5


def test_a_driver_on_another_machine_with_heartbeats_is_not_taken_over(uri) -> None:
    import threading

    claims, claim = written_elsewhere(uri)
    ended = threading.Event()

    def beat() -> None:
        beats = 0
        while not ended.wait(HEARTBEAT_S):
            beats += 1
            claims.write(replace(claim, heartbeats=beats))

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(StoreError, match="held it since 2026-01-01 00:00:00 UTC"), drive(uri, LONG_LEASE_S):
            raise AssertionError("two drivers have one study")
    finally:
        ended.set()
        thread.join()
    assert list(claims.seen()) == [claim.id]


def test_a_driver_that_was_stopped_for_the_lease_finds_that_it_was_taken_over(uri) -> None:
    with driver_elsewhere(uri) as process:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreError, match="is already running"), drive(uri, LONG_LEASE_S):
            raise AssertionError("it may only be slow")
        until(lambda: lease_holders(folder_of(uri), LEASE_S + 1)[1] != [])
        with drive(uri):
            process.send_signal(signal.SIGCONT)
            assert process.stdin is not None
            assert process.stdout is not None
            said = process.stdout.read()
            assert process.wait(60) == 2
            assert "was taken over by another driver" in said
            live, gone = lease_holders(folder_of(uri))
            assert (len(live), gone) == (1, [])


ELSEWHERE = """
import os, sys, time
from scmmlab.study import ResultStore, study_lease, processes
from scmmlab.study.files import Files
processes._machine = lambda: "another"
write = Files.write
def skewed(files, name, data):
    write(files, name, data)
    now = time.time() + float(sys.argv[2])
    os.utime(files.local / name, (now, now))
Files.write = skewed
folder = ResultStore(sys.argv[1]).study_folder("demo")
with study_lease(folder, "demo", "wait", lease_s=3.0, heartbeat_s=0.5):
    print("has it", flush=True)
    sys.stdin.readline()
"""
"""A driver on another machine, whose clock tells when its files were written, as some network file systems have it."""


@pytest.mark.slow
@pytest.mark.parametrize("skew_s", [-3600, 3600])
def test_clocks_of_machines_need_not_agree(tmp_path, skew_s) -> None:
    folder = folder_of(str(tmp_path))
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path), str(skew_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "has it\n"
        with (
            pytest.raises(StoreError, match=r"is already running: .* last heartbeat was [0-3] s ago"),
            study_lease(folder, "demo", "wait", lease_s=3.0, heartbeat_s=HEARTBEAT_S),
        ):
            raise AssertionError("two drivers have one study")
        assert len(folder.claims().seen()) == 1
        other.kill()
    begun = time.monotonic()
    with study_lease(folder, "demo", "wait", lease_s=3.0, heartbeat_s=HEARTBEAT_S):
        assert 3.0 <= time.monotonic() - begun < 10


def test_a_claim_is_silent_since_it_was_last_seen_to_change() -> None:
    now = [100.0]
    claim = Claim("a", "holding", "", ProcessName("another", 1, 1))
    for one_clock, behind in ((False, 0.0), (True, 50.0)):
        watch = Watch(one_clock, clock=lambda: now[0])
        assert watch.silent_s(SeenClaim(claim, written_s=1000.0), now_s=1050.0) == behind
        now[0] += 7
        assert watch.silent_s(SeenClaim(claim, written_s=1000.0), now_s=1057.0) == 7 + behind
        assert watch.silent_s(SeenClaim(replace(claim, heartbeats=1), written_s=1057.0), now_s=1057.0) == 0
        now[0] += 2
        assert watch.silent_s(SeenClaim(replace(claim, heartbeats=1), written_s=1057.0), now_s=1059.0) == 2


def test_of_drivers_that_start_together_one_has_the_study(uri) -> None:
    command = [sys.executable, "-c", DRIVER, uri, "60"]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        assert all(process.stdout for process in processes)
        said = [process.stdout.readline() for process in processes]  # type: ignore[union-attr]
        assert sum(line == "has it\n" for line in said) == 1, said
        assert sum("is already running" in line for line in said) == 3, said
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_the_study_is_let_go_of_whatever_ends_the_work(uri) -> None:
    with pytest.raises(ZeroDivisionError), drive(uri):
        raise ZeroDivisionError
    assert folder_of(uri).claims().seen() == {}


@pytest.mark.parametrize("before", [True, False])
def test_an_interruption_while_the_heartbeats_start_leaves_no_claim(tmp_path, monkeypatch, before: bool) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if not before:
            start(thread)
        raise KeyboardInterrupt

    folder = ResultStore(tmp_path).study_folder("demo")
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), study_lease(folder, "demo", "wait", heartbeat_s=HEARTBEAT_S):
        raise AssertionError("not reached")
    assert folder.claims().seen() == {}


def test_a_heartbeat_that_is_being_written_while_the_study_is_let_go_of_leaves_no_claim(tmp_path, monkeypatch) -> None:
    writing, let_go, write = threading.Event(), threading.Event(), Claims.write

    def slow(claims: Claims, claim: Claim) -> None:
        if claim.heartbeats:
            writing.set()
            assert let_go.wait(60)
        write(claims, claim)

    monkeypatch.setattr(Claims, "write", slow)
    monkeypatch.setattr(sys.modules[study_lease.__module__], "_STOP_TIMEOUT_S", 0.01)
    folder = ResultStore(tmp_path).study_folder("demo")
    with study_lease(folder, "demo", "wait", heartbeat_s=0.01):
        assert writing.wait(60)
        (heartbeats,) = (thread for thread in threading.enumerate() if thread.name == "claim")
    let_go.set()
    heartbeats.join(60)
    assert folder.claims().seen() == {}


def test_a_process_is_known_by_its_start_and_not_by_its_number_alone() -> None:
    own = this_process()
    assert own is not None
    assert is_there(own) is True
    assert is_there(replace(own, started=own.started - 1)) is False
    assert is_there(replace(own, machine="another")) is None
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert is_there(replace(own, number=ended.pid)) is False
    assert is_there(None) is None


def test_a_driver_in_a_thread_that_lost_the_study_ends_with_that_sentence_and_the_program_goes_on(tmp_path) -> None:
    folder, raised = ResultStore(tmp_path).study_folder("demo"), []

    def drive() -> None:
        try:
            with study_lease(folder, "demo", "wait", heartbeat_s=0.05) as lease:
                for claim in folder.claims().seen():  # as one that took it over does
                    folder.claims().delete(claim)
                deadline = time.monotonic() + 60
                while time.monotonic() < deadline:
                    lease.publish({})
        except StoreError as error:
            raised.append(error.message)

    thread = threading.Thread(target=drive)
    thread.start()
    thread.join()
    assert [message.partition(":")[0] for message in raised] == ["Study 'demo' was taken over by another driver"]
