"""A corpus is built file by file, whatever is killed on the way, and the table is that of an undisturbed build."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from scmmlab.corpora import eegmat
from scmmlab.corpora.eegmat import EegmatReader
from scmmlab.execution.ray.corpus_build import map_on_ray
from scmmlab.features import FeatureSpec
from scmmlab.tables import build_table, map_here

sys.path.insert(0, str(Path(__file__).parents[1] / "corpora"))
from edf_files import write_edf

pytestmark = pytest.mark.slow

SUBJECTS = 5
BANDS = {f"from {low} Hz": (low, low + 2) for low in range(1, 61)}
"""So many that a file takes half a second, and a build can be met in the middle."""
FEATURES = FeatureSpec(bands=BANDS)
OLD_NAMES = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of eegmat's, in its own format."""
    root = tmp_path_factory.mktemp("corpus")
    labels = [f"EEG {OLD_NAMES.get(name, name)}" for name in eegmat.CHANNELS]
    for subject in range(SUBJECTS):
        for recording in (1, 2):
            noise = np.random.default_rng([subject, recording]).normal(0, 20, (len(labels), 62 * 500)).clip(-190, 190)
            write_edf(root / f"Subject{subject:02}_{recording}.edf", labels, noise, 500)
    return root


@pytest.fixture(scope="module")
def undisturbed(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "table"
    build_table(EegmatReader(), root, out, FEATURES)
    return content(out)


def content(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def command(root, out, engine):
    bands = ", ".join(f"{name}: [{low}, {high}]" for name, (low, high) in BANDS.items())
    return [sys.executable, "-m", "scmmlab.cli.main", "corpus", "build", "eegmat", "--root", root, "--out", out,
            "--engine", engine, "--set", f"features.bands={{{bands}}}"]  # fmt: skip


def kept(out):
    """The files of which a build that is not whole has kept the rows."""
    return sorted(path.name for folder in out.parent.glob(".table.*.parts") for path in folder.glob("*.npz"))


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("ray_of_two_cpus")
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_killed_build_goes_on_without_reading_again_what_is_done(root, undisturbed, tmp_path, engine):
    out = tmp_path / "table"
    with subprocess.Popen(command(root, out, engine), stderr=subprocess.DEVNULL) as process:
        until(lambda: len(kept(out)) >= 3 or process.poll() is not None)
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    # Ray's own processes notice within minutes that nobody is there any more
    for child in below:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    done = kept(out)
    assert 3 <= len(done) < 2 * SUBJECTS
    assert not out.exists()

    read, told = [], []

    def mapper(extract, files):
        read.extend(files)
        return {"local": map_here, "ray": map_on_ray}[engine](extract, files)

    build_table(EegmatReader(), root, out, FEATURES, mapper=mapper, progress=lambda *numbers: told.append(numbers))
    assert len(read) == 2 * SUBJECTS - len(done)
    assert told == [(count, 2 * SUBJECTS) for count in range(len(done), 2 * SUBJECTS + 1)]
    assert content(out) == undisturbed
    assert os.listdir(tmp_path) == ["table"]


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_a_worker_that_is_killed_is_replaced(root, undisturbed, tmp_path):
    out = tmp_path / "table"
    killed = []

    def kill_a_worker():
        until(lambda: len(kept(out)) >= 2)
        for child in psutil.Process().children(recursive=True):
            if child.name().startswith("ray::Map"):
                child.send_signal(signal.SIGKILL)
                killed.append(child.pid)
                return

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    try:
        build_table(EegmatReader(), root, out, FEATURES, mapper=map_on_ray)
    finally:
        killer.join()
    assert killed
    assert content(out) == undisturbed


def test_the_time_left_is_told(root, tmp_path):
    printed = subprocess.run(
        command(root, tmp_path / "table", "local"), capture_output=True, text=True, check=True
    ).stderr.splitlines()
    assert printed[0] == "Reading files: 0 of 10 done"
    assert printed[-1] == "Reading files: 10 of 10 done"
    assert any(line.startswith("Reading files: 5 of 10 done, about ") and line.endswith(" s left") for line in printed)


def test_of_two_builds_of_the_same_table_one_is_refused(root, undisturbed, tmp_path):
    out = tmp_path / "table"
    with subprocess.Popen(command(root, out, "local"), stderr=subprocess.DEVNULL) as first:
        until(lambda: kept(out))
        second = subprocess.run(command(root, out, "local"), capture_output=True, text=True, check=False)
        assert second.returncode == 2
        assert f"is being built already: expected to be alone there, found process {first.pid} at work" in second.stderr
        assert first.wait() == 0
    assert content(out) == undisturbed
