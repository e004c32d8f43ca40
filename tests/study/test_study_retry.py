"""A store that has worked is waited for, within a bound; one that never has is refused at once; nothing is lost."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import threading
import time

import pytest
from pyarrow import fs

from scmmlab.errors import StoreError
from scmmlab.study import ResultStore
from scmmlab.study.files import Files
from scmmlab.study.retry import Retry


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def refused(times: int):
    """An access that is granted after so many refusals."""
    left = [times]

    def action() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return "done"

    return action


def test_what_was_granted_before_is_tried_again_and_both_ends_are_said(caplog) -> None:
    clock = Clock()
    retry = Retry(60, clock.sleep, clock)
    retry.access("write", "write 'a'", refused(0))
    with caplog.at_level(logging.WARNING):
        assert retry.access("write", "write 'b'", refused(6)) == "done"
    assert [record.message for record in caplog.records] == [
        "Cannot write 'b': [Errno 28] No space left on device. Nothing is lost; retrying for up to 60 s.",
        "Could write 'b' after 26 s.",
    ]


def test_the_wait_is_bounded() -> None:
    clock = Clock()
    retry = Retry(60, clock.sleep, clock)
    retry.access("write", "write 'a'", refused(0))
    with pytest.raises(OSError, match="No space left"):
        retry.access("write", "write 'b'", refused(10**6))
    assert clock.now == 60


def test_what_was_never_granted_is_refused_at_once() -> None:
    clock = Clock()
    retry = Retry(60, clock.sleep, clock)
    retry.access("read", "read 'a'", refused(0))
    with pytest.raises(OSError, match="No space left"):
        retry.access("write", "write 'b'", refused(1))
    assert clock.now == 0


def test_what_does_not_mend_itself_is_refused_at_once(tmp_path) -> None:
    store = ResultStore(tmp_path)
    store.put_cell("k", {})
    (tmp_path / "pretrain").write_text("")
    with pytest.raises(StoreError, match="Not a directory"):
        store.put_pretrain("k", {}, {})


@pytest.mark.slow
def test_objects_that_s3_refuses_for_a_while_are_there_afterwards(s3, caplog) -> None:
    store = ResultStore(s3.uri("refusing"))
    store.put_cell("before", {"figure": 1})
    with caplog.at_level(logging.WARNING), s3.refusing():
        writer = threading.Thread(target=store.put_cell, args=("during", {"figure": 2}))
        writer.start()
        while "Nothing is lost" not in caplog.text:
            assert writer.is_alive()
            time.sleep(0.05)
        assert store.keys("cells") == {"before"}, "what can be read is read"
        message = r"Cannot write 'cells/other.json' in s3://results/refusing: .*SLOW_DOWN"
        with pytest.raises(StoreError, match=message) as refused:
            ResultStore(s3.uri("refusing")).put_cell("other", {})
        assert refused.value.exit_status == 2, "it has never worked"
    writer.join(60)
    assert "Could write 'cells/during.json' in s3://results/refusing" in caplog.text
    assert store.get_cell("during") == {"figure": 2}


@pytest.mark.slow
def test_a_store_that_stays_away_is_an_error_in_the_end(s3) -> None:
    store = ResultStore(s3.uri("away"), retry_s=1.0)
    store.put_cell("before", {})
    with s3.refusing(), pytest.raises(StoreError, match=r"Cannot write 'cells/k.json' in s3://results/away") as away:
        store.put_cell("k", {})
    assert away.value.exit_status == 75, "it has worked, and the same command goes on when it is back"


@pytest.mark.slow
def test_a_full_disk_leaves_no_half_file_in_the_way(tmp_path) -> None:
    """The file size limit stands for the disk: what is beyond it is refused as on a full one."""
    program = f"""
import resource, signal
from scmmlab.errors import StoreError
from scmmlab.study.files import Files
files = Files({str(tmp_path)!r}, retry_s=0.0)
files.write("checkpoints/k.pretrain", b"small")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    files.write("checkpoints/k.pretrain", bytes(20_000))
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert "Cannot write 'checkpoints/k.pretrain'" in done.stdout
    assert (tmp_path / "checkpoints" / "k.pretrain").read_bytes() == b"small"
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.slow
def test_a_writer_to_s3_that_is_killed_on_its_way_leaves_nothing(s3) -> None:
    """Ten MiB go in parts; the process ends before the last one, or before the upload is completed."""
    uri = s3.uri("killed")
    program = f"""
import os
from scmmlab.study.files import Files
files = Files({uri!r})
stream = files.filesystem.open_output_stream(files.root + "/checkpoints/k.pretrain")
stream.write(bytes(12 << 20))
stream.flush()
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 9
    assert not Files(uri).exists("checkpoints/k.pretrain")
    assert Files(uri).names("checkpoints") == []


@pytest.mark.slow
def test_neither_credentials_nor_parameters_are_shown(s3, tmp_path) -> None:
    store = ResultStore(s3.uri("shown/"))
    assert store.uri == "s3://results/shown"
    assert store.study_folder("demo").uri == "s3://results/shown/studies/demo"
    wrong = s3.uri("x").replace("results", "no-such-bucket")
    with pytest.raises(StoreError, match="NO_SUCH_BUCKET") as caught:
        ResultStore(wrong).put_cell("k", {})
    with pytest.raises(StoreError) as unknown:
        ResultStore("s3://key:open-sesame@bucket/x?nonsense=1")
    for error in (caught, unknown):
        assert "open-sesame" not in str(error.value)
        assert "endpoint_override" not in str(error.value)
    assert ResultStore("x", fs._MockFileSystem()).uri == "x"
