"""The image: what goes into it, and its install steps, run as they are in an empty folder."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths
from dockerfile import Build, instructions, pip_settings

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = (REPOSITORY / "cluster/docker/Dockerfile").read_text()
PATTERNS = [
    line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
]
SECRETS = (".env", "id_rsa", "platform/scmmlab/.env", "platform/scmmlab/token.pem", "cluster/compose/secrets/ray_token")
DATA = (".git/config", "runs/cells/a.json", "data/subject1.edf", "platform/scmmlab/x/recording.mat", "ablations/a.npz")


def in_context(root: Path) -> set[str]:
    """Files that Docker would send to the build, by Docker's own rules."""
    return {path for path in exclude_paths(str(root), PATTERNS) if (root / path).is_file()}


def test_no_secret_no_data_and_no_history_goes_into_the_image(tmp_path):
    for path in (*SECRETS, *DATA, "platform/scmmlab/cli/main.py", "pyproject.toml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert in_context(tmp_path) == {"platform/scmmlab/cli/main.py", "pyproject.toml"}


def test_all_that_git_has_of_the_package_goes_into_the_image():
    tracked = subprocess.run(
        ["git", "ls-files", "platform", "ablations", "search_spaces"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert tracked
    assert set(tracked) <= in_context(REPOSITORY)


def test_the_image_does_not_run_as_root_and_asks_for_a_token():
    steps = instructions(DOCKERFILE)
    users = [step.rest for step in steps if step.name == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])
    assert "RAY_AUTH_MODE=token" in " ".join(step.rest for step in steps if step.name == "ENV")


def test_every_version_is_pinned_by_the_constraints():
    installs = [step.rest for step in instructions(DOCKERFILE) if step.name == "RUN" and "pip install" in step.rest]
    assert len(installs) == 3
    assert all("-c constraints.txt" in line or "--no-deps" in line for line in installs)
    assert re.search(r"^FROM python:\d+\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Build:
    """The image's files, built from the Dockerfile in a folder, with what `.dockerignore` lets through."""
    folder = tmp_path_factory.mktemp("image")
    context = folder / "context"
    for path in in_context(REPOSITORY):
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (context / path).write_bytes((REPOSITORY / path).read_bytes())
    passed = pip_settings()
    cache = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=True
    ).stdout.strip()
    python = Path(getattr(sys, "_base_executable", sys.executable)).resolve().parent
    build = Build(folder / "root", context, python, {"PIP_CACHE_DIR": cache}, passed)
    build.run(instructions(DOCKERFILE))
    return build


@pytest.mark.slow
class TestInstallSteps:
    """Nothing but the interpreter is there before them."""

    def test_they_install_what_the_constraints_say_and_nothing_else(self, image):
        assert len(image.ran) == len([step for step in instructions(DOCKERFILE) if step.name == "RUN"])
        pinned = dict(
            line.lower().replace("_", "-").split("==")
            for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
            if "==" in line
        )
        listed = image.shell("pip list --format=json --disable-pip-version-check")
        installed = {item["name"].lower().replace("_", "-"): item["version"] for item in json.loads(listed.stdout)}
        assert installed.pop("torch").split("+") == [pinned["torch"], "cpu"]
        assert installed.pop("scmmlab")
        installed.pop("pip")
        assert installed == {name: pinned[name] for name in installed}
        assert not {"pytest", "mypy", "ruff"} & set(installed)
        assert image.shell("pip check").returncode == 0

    def test_the_study_that_comes_with_it_can_be_planned(self, image):
        done = image.shell(f"scmmlab plan {image.root}/opt/scmmlab/ablations/demo.yaml")
        assert done.returncode == 0, done.stderr
        assert "39 cells" in done.stdout

    def test_it_has_what_head_worker_and_server_are_started_with(self, image):
        assert "2.60" in image.shell("ray --version").stdout
        done = image.shell("mlflow server --help && python -c 'import boto3, flask_wtf, psycopg2, mlflow.server.auth'")
        assert done.returncode == 0, done.stderr

    def test_modules_are_compiled_and_every_user_can_read_them(self, image):
        package = next((image.root / "opt/venv/lib").glob("python*/site-packages/scmmlab"))
        assert list((package / "__pycache__").glob("__init__.*.pyc"))
        for folder, _, files in os.walk(image.root / "opt"):
            for path in (Path(folder), *(Path(folder, name) for name in files)):
                assert path.is_symlink() or path.stat().st_mode & stat.S_IROTH, path

    def test_whoever_it_runs_as_can_write_in_its_home(self, image):
        assert stat.S_IMODE((image.root / "home/scmmlab").stat().st_mode) == 0o1777
        assert image.folder == image.root / "home/scmmlab"
