"""Tiny studies, run by Python and by the command line."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from command_line import scmmlab  # noqa: F401 - a fixture
from scmmlab.api.study import Study
from scmmlab.api.views import Run
from scmmlab.cli.main import main
from scmmlab.config import AblationSpec, SweepSpec, study_yaml

# the study of seconds is that of the tests without Ray
sys.path.insert(0, str(Path(__file__).parents[1] / "execution"))


@dataclass(frozen=True)
class RunTwice:
    """A study that was run by Python and by the command line."""

    file: Path
    by_command: Path
    """Store."""
    study: Study
    """Of the file and the store of Python's."""
    run: Run
    """What Python was answered."""


def run_by_command(spec: AblationSpec | SweepSpec, folder: Path) -> tuple[Path, Path]:
    """The study's file, and the store of a run of it."""
    file, store = folder / "study.yaml", folder / "by-command"
    file.write_text(study_yaml(spec))
    assert main(["run", str(file), "--engine", "local", "--store", str(store), "--tracking-uri", "none"]) == 0
    return file, store


@pytest.fixture(scope="session")
def ablation_run(tmp_path_factory: pytest.TempPathFactory) -> RunTwice:
    """Run by Python as a notebook does: in the main thread, in which an event loop is running. Not to be written to."""
    from tiny_study import BASE, VARIANTS, ablation

    folder = tmp_path_factory.mktemp("ablation")
    variants = {name: VARIANTS[name] for name in ("full", "no_pretraining")} | {
        "released": {"set": {"protocol": {"kind": "released", "split": "within_subject"}}}
    }
    file, store = run_by_command(
        ablation(folder, variants=variants, base=BASE | {"finetune": {"epochs": 12, "batch_size": 16}}), folder
    )

    async def cell() -> tuple[Study, Run]:
        study = Study.open(file, folder / "in-python")
        return study, study.run("local", tracking_uri="none", progress=False)

    return RunTwice(file, store, *asyncio.run(cell()))


@pytest.fixture(scope="session")
def sweep_run(tmp_path_factory: pytest.TempPathFactory) -> RunTwice:
    """Run by Python in a thread of its own. Not to be written to."""
    from tiny_study import sweep

    folder = tmp_path_factory.mktemp("sweep")
    file, store = run_by_command(sweep(folder, tune_trials=4), folder)
    study, found = Study.open(file, folder / "in-python"), []
    thread = threading.Thread(target=lambda: found.append(study.run("local", tracking_uri="none", progress=False)))
    thread.start()
    thread.join()
    return RunTwice(file, store, study, found[0])
