"""Two builds never meet at one place, and what a killed one left does not stay."""

import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from test_tables_build import TextReader

from scmmlab.errors import CorpusError
from scmmlab.features import FeatureSpec
from scmmlab.tables import build_table, read_table

HOLDER = """
import sys, time
from scmmlab.tables.claim import claimed
from scmmlab.tables.locations import locate
with claimed(locate(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def out(tmp_path):
    return tmp_path / "tables" / "out"


@contextmanager
def another_process_at(out):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(out)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process.pid
        finally:
            process.send_signal(signal.SIGKILL)


def test_a_second_build_is_refused_while_the_first_is_at_work(root, out):
    with (
        another_process_at(out) as pid,
        pytest.raises(CorpusError, match=rf"out' is being built already: .* found process {pid} at work"),
    ):
        build_table(TextReader(), root, out)
    assert not out.exists()


def test_a_refused_build_leaves_what_the_first_one_keeps(root, out):
    def refuses_another(extract, files):
        for file in files:
            yield extract(file)
            with pytest.raises(CorpusError, match="is being built already"):
                build_table(TextReader(), root, out)

    assert build_table(TextReader(), root, out, mapper=refuses_another).status == "built"
    assert len(read_table(out)) == 12


def test_a_killed_build_claims_nothing_and_leaves_nothing(root, out):
    with another_process_at(out):
        assert (out.parent / ".out.lock").exists()
    build_table(TextReader(), root, out)
    assert os.listdir(out.parent) == ["out"]


FORKED = """
import os, sys, time
from scmmlab.tables.claim import claimed
from scmmlab.tables.locations import locate
with claimed(locate(sys.argv[1])):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(600)
"""


def test_a_child_that_outlives_a_killed_build_does_not_keep_its_claim(root, out):
    with subprocess.Popen([sys.executable, "-c", FORKED, str(out)], stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        try:
            assert build_table(TextReader(), root, out).status == "built"
        finally:
            os.kill(child, signal.SIGKILL)


def test_tables_beside_each_other_are_built_at_once(root, out):
    with another_process_at(out.with_name("other")):
        assert build_table(TextReader(), root, out).status == "built"


def test_a_table_that_a_killed_build_had_moved_aside_is_put_back(root, out):
    before = build_table(TextReader(), root, out).manifest
    out.rename(out.with_name(".out.0123abcd.old"))
    out.with_name(".out.0123abcd.new").mkdir()
    outcome = build_table(TextReader(), root, out)
    assert (outcome.status, outcome.manifest) == ("up to date", before)
    assert os.listdir(out.parent) == ["out"]


def test_what_was_moved_aside_is_removed_where_the_new_table_is_there(root, out):
    build_table(TextReader(), root, out)
    old = out.with_name(".out.0123abcd.old")
    old.mkdir()
    (old / "manifest.json").write_text("{}")
    build_table(TextReader(), root, out)
    assert os.listdir(out.parent) == ["out"]


def test_a_refused_corpus_leaves_no_folder_that_was_not_there(root, out):
    (root / "s3.txt").write_text("3 7 3 A")
    with pytest.raises(CorpusError, match="A label is outside the classes"):
        build_table(TextReader(), root, out)
    assert not out.parent.exists()


@contextmanager
def files_of_at_most(size):
    """As on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_in_a_sentence_and_the_build_goes_on_when_there_is_room(root, out):
    features = FeatureSpec(window_s=0.02)
    with (
        files_of_at_most(20_000),
        pytest.raises(CorpusError, match=r"out' cannot be written: expected a disk with room for it, found 'File too"),
    ):
        build_table(TextReader(seconds=100), root, out, features)
    assert not out.exists()
    assert build_table(TextReader(seconds=100), root, out, features).status == "built"
    assert os.listdir(out.parent) == ["out"]
