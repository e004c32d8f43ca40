"""A method that is a package of its own: no file of ours knows it, and it is treated like ours."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).with_name("third_party")
pytestmark = pytest.mark.slow

STUDY = """
kind: ablation
name: methods
base:
  network: {width: 16, classifier_width: 8}
  pretrain: {epochs: 2, batch_size: 32}
  finetune: {epochs: 3, batch_size: 32}
  protocol: {kind: honest, finetune_trials: 6}
variants:
  scmm: {}
  mean: {method: nearest_mean}
  shrunken: {method: nearest_mean, shrinkage: 0.2}
  logistic: {method: linear}
  perceptron: {method: mlp, hidden: 16, finetune.epochs: 3}
transfers:
  - {name: a-to-b, source: {table: a}, target: {table: b}}
seeds: [0, 1]
statistics: {metric: balanced_accuracy, reference: scmm}
"""


def install(source: Path, site: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*pip, *options, str(source)], check=True, capture_output=True)


class Installed:
    """An environment in which the package is installed beside scmmlab, and a study that names its method."""

    def __init__(self, folder: Path):
        self.folder, self.site = folder, folder / "site"
        install(shutil.copytree(PACKAGE, folder / "source"), self.site)
        self.study = folder / "methods.yaml"
        self.study.write_text(STUDY, encoding="utf-8")
        for name, seed in (("a", 1), ("b", 2)):
            sizes = ["--subjects", "2", "--trials", "9", "--windows", "6", "--channels", "Fz,Cz,Pz,Oz"]
            made = self.run("corpus", "fake", "--out", folder / name, "--seed", seed, "--name", name, *sizes)
            assert made.returncode == 0, made.stderr

    def start(self, *arguments: object, path: tuple[Path, ...] = ()) -> subprocess.Popen[str]:
        paths = [self.site, *path, ROOT / "platform"]
        return subprocess.Popen(
            [sys.executable, "-m", "scmmlab.cli.main", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, *arguments: object, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, path=path)
        out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def results(self, store: Path) -> str:
        done = self.run("results", self.study, "--store", store)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keys(self, *options: str, path: tuple[Path, ...] = ()) -> dict[str, str]:
        done = self.run("plan", self.study, "--json", "--store", self.folder / "none", *options, path=path)
        assert done.returncode == 0, done.stderr
        cells = json.loads(done.stdout)["cells"]
        return {f"{cell['variant']} {cell['seed']}": cell["key"] for cell in cells}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("third-party"))


@pytest.fixture(scope="module")
def undisturbed(installed: Installed) -> Path:
    """A store in which the study is finished."""
    store = installed.folder / "undisturbed"
    done = installed.run("run", installed.study, "--engine", "local", "--store", store, "--tracking-uri", "none")
    assert done.returncode == 0, done.stderr
    return store


def test_it_is_listed_with_its_package_and_its_settings(installed):
    listed = json.loads(installed.run("methods", "--json").stdout)
    names = [method["name"] for method in listed["methods"]]
    assert names == ["linear", "mlp", "scmm", "nearest_mean"], "ours first"
    assert listed["methods"][-1]["package"] == "scmmlab-nearest-mean 0.3.0"
    assert listed["broken"] == {}
    shown = installed.run("methods", "nearest_mean").stdout
    assert "shrinkage = 0.0    (a number)\n      By how much each feature of a class mean moves" in shown


def test_it_holds_what_every_method_must_hold_by_its_own_test(installed):
    tests = Path(__file__).parent
    paths = [installed.site, ROOT / "platform", tests, tests.parent / "training"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_nearest_mean.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        cwd=installed.folder / "source",
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d{2} passed", done.stdout)


def test_it_runs_in_a_grid_beside_ours_and_is_reported(installed, undisturbed):
    lines = installed.results(undisturbed).splitlines()
    assert {"scmm", "mean", "shrunken", "logistic", "perceptron"} <= {
        word for line in lines for word in line.split(",")
    }
    report = (undisturbed / "studies" / "methods" / "report" / "report.md").read_text(encoding="utf-8")
    assert re.search(r"\| `shrunken` \| \d\d\.\d ± ", report)


def test_its_archive_is_verified_where_it_is_installed_and_refused_with_its_name_elsewhere(
    installed, undisturbed, tmp_path
):
    archive = tmp_path / "methods.tar"
    done = installed.run("export", installed.study, "--store", undisturbed, "--out", archive)
    assert done.returncode == 0, done.stderr
    verified = installed.run("verify-archive", archive)
    assert verified.returncode == 0, verified.stdout
    (installed.folder / "nothing").mkdir()
    installed.site, site = installed.folder / "nothing", installed.site
    try:
        refused = installed.run("verify-archive", archive)
    finally:
        installed.site = site
    assert refused.returncode == 1
    assert "it must be one of 'linear', 'mlp', 'scmm', got 'nearest_mean'" in refused.stdout


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_killed_and_run_again_it_gives_the_same_results(installed, undisturbed, tmp_path, engine):
    store = tmp_path / "runs"
    command = ("run", installed.study, "--engine", engine, "--store", store, "--tracking-uri", "none")
    process = installed.start(*command)
    while not any((store / "cells").glob("*")) and process.poll() is None:
        time.sleep(0.01)
    below = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for child in below:  # Ray's processes notice late that nobody is there any more
        with suppress(psutil.NoSuchProcess):
            child.kill()
    kept = {path: path.stat().st_mtime_ns for path in (store / "cells").glob("*")}
    assert 1 <= len(kept) < 10, "it must be killed on its way"
    done = installed.run(*command)
    assert done.returncode == 0, done.stderr
    assert installed.results(store) == installed.results(undisturbed)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "what was finished was not run again"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "nearest_men"}, "did you mean 'nearest_mean'?"),
        ({"method": "nearest_mean", "shrinkge": 1}, "Unknown key 'variants.mean.shrinkge'"),
        ({"method": "nearest_mean", "shrinkage": "much"}, "it must be a number, got 'much'"),
        ({"method": "nearest_mean", "shrinkage": -1}, "it must lie in [0, 100], got -1"),
        ({"method": "nearest_mean", "masking.ratio": 0.5}, "Unknown key 'variants.mean.masking'"),
    ],
)
def test_its_settings_are_refused_in_the_sentences_that_ours_are(installed, changes, said):
    changed = f"variants.mean={json.dumps(changes)}"
    done = installed.run("plan", installed.study, "--store", installed.folder / "none", "--set", changed)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_its_version_and_its_code_are_in_its_keys_and_in_no_other(installed):
    module = installed.site / "nearest_mean.py"
    original = module.read_text(encoding="utf-8")
    before = installed.keys()
    edits = {
        "its code": original.replace("X.mean(axis=0)", "np.median(X, axis=0)"),
        "its version": original.replace('version="1"', 'version="2"'),
    }
    try:
        for what, text in edits.items():
            assert text != original
            module.write_text(text, encoding="utf-8")
            changed = {name for name, key in installed.keys().items() if key != before[name]}
            assert changed == {"mean 0", "mean 1", "shrunken 0", "shrunken 1"}, what
        module.write_text("# a thought\n" + original, encoding="utf-8")
        assert installed.keys() == before
    finally:
        module.write_text(original, encoding="utf-8")


LIKE_A_METHOD = """
from typing import Literal
from scmmlab.config import ExperimentSpec
class Spec(ExperimentSpec):
    method: Literal["wrong"] = "wrong"
class METHOD:
    name, spec = "wrong", Spec
"""
MISNAMED = """
from dataclasses import replace
from nearest_mean import METHOD
METHOD = replace(METHOD, name="wrong")
"""

NOWHERE = """
from dataclasses import replace
from typing import Literal
import nearest_mean
class Spec(nearest_mean.NearestMeanSpec):
    method: Literal["wrong"] = "wrong"
METHOD = replace(nearest_mean.METHOD, name="wrong", spec=Spec, runs_on="gpu")
"""


def test_code_that_its_package_keeps_in_another_module_is_in_its_keys_too(installed, tmp_path):
    source, site = shutil.copytree(PACKAGE, tmp_path / "source"), tmp_path / "site"
    module = (source / "nearest_mean.py").read_text(encoding="utf-8").replace("nearest_mean", "in_two")
    start, end = module.index("class NearestMean:"), module.index("def load()")
    (source / "nearest_mean.py").unlink()
    (source / "in_two.py").write_text(
        module[:start] + module[end:].replace("    class ", "    from other import NearestMean\n\n    class ", 1),
        "utf-8",
    )
    (source / "other.py").write_text(f"from __future__ import annotations\nimport numpy as np\n{module[start:end]}")
    project = (source / "pyproject.toml").read_text(encoding="utf-8")
    project = project.replace('["nearest_mean"]', '["in_two", "other"]').replace("nearest_mean", "in_two")
    (source / "pyproject.toml").write_text(project.replace("nearest-mean", "in-two"), encoding="utf-8")
    install(source, site)

    keys = functools.partial(installed.keys, "--set", "variants.mean={method: in_two}", path=(site,))
    before = keys()
    other = site / "other.py"
    other.write_text(other.read_text(encoding="utf-8").replace("/ 2", "/ 3"), encoding="utf-8")
    assert {name for name, key in keys().items() if key != before[name]} == {"mean 0", "mean 1"}


def broken_package(folder: Path, code: str) -> Path:
    """A site folder with a package `wrong` whose method is what `code` makes."""
    (folder / "wrong-1.0.dist-info").mkdir(parents=True)
    (folder / "wrong-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: wrong\nVersion: 1.0\n")
    (folder / "wrong-1.0.dist-info" / "entry_points.txt").write_text("[scmmlab.methods]\nwrong = wrong:METHOD\n")
    (folder / "wrong.py").write_text(code, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError"),
        ("X = 1", "METHOD"),
        ("METHOD = 'me'", "must be a Method of that name whose spec extends ExperimentSpec"),
        ("class METHOD:\n    name, spec = 'wrong', None\n", "whose spec extends ExperimentSpec"),
        (LIKE_A_METHOD, "must be a scmmlab.methods.contract.Method"),
        ("from nearest_mean import METHOD", "must be a Method of that name"),
        (MISNAMED, "must have the field `method: Literal['wrong'] = 'wrong'`, found the default 'nearest_mean'"),
        (NOWHERE, "runs_on of the method 'wrong' must be one of 'any', 'cpu', got 'gpu'"),
    ],
)
def test_package_that_cannot_be_loaded_is_named_and_the_rest_are_listed_and_run(installed, tmp_path, code, said):
    path = (broken_package(tmp_path, code),)
    done = installed.run("methods", path=path)
    assert done.returncode == 1
    assert "\nwrong: " in done.stdout
    assert said in done.stdout
    assert "nearest_mean" in done.stdout
    assert "Traceback" not in done.stderr
    refused = installed.run(
        "plan", installed.study, "--set", "variants.mean={method: wrong}", "--store", tmp_path, path=path
    )
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
