"""What a study costs as it grows: seconds and memory of plan, run, status, results, report and MLflow.

Each part runs in a process of its own, as a person would start it, so that its peak of memory is its own. The run is
that of `overhead`, cells that do nothing, on Ray's workers and with MLflow; or, on request, real training of tiny
cells by `scmmlab run`::

    python -m scmmlab.benchmarks.scale SPEC STORE
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from scmmlab.benchmarks.overhead import nothing_study, without_training
from scmmlab.config import AblationSpec, study_yaml
from scmmlab.config.loading import load_study
from scmmlab.execution.grid.run import GridRun
from scmmlab.study import ResultStore, make_plan
from scmmlab.tables import read_manifest, read_table
from scmmlab.tracking import MlflowTracker, versions

CELLS = (100, 1_000, 10_000)
"""Cells of each study."""
VARIANTS = 10
"""Of each study; the rest are seeds."""
MIB = 2**20


def benchmark_scale(
    cells: Sequence[int] = CELLS, real: bool = False, notify: Callable[[str], None] | None = None
) -> dict[str, dict[str, dict[str, float]]]:
    """Take studies of that many cells through all commands.

    Parameters
    ----------
    cells : sequence of int
        Sizes of the studies.
    real : bool
        Whether the cells train, an epoch of a tiny model on six windows, in place of doing nothing.
    notify : callable | None
        Gets a line for each figure, as soon as it is known.

    Returns
    -------
    dict
        Number of cells → command → ``seconds``, ``peak_mib`` (resident memory of its process, without workers) and
        ``files`` in the store behind it.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for count in cells:
        with tempfile.TemporaryDirectory(prefix="scmmlab-bench-") as name:
            folder = Path(name)
            spec, store = folder / "study.yaml", folder / "store"
            spec.write_text(study_yaml(nothing_study(folder, count, variants=min(VARIANTS, count))), encoding="utf-8")
            of_study = [str(spec), "--store", str(store)]
            run = (
                _command("run", *of_study)
                if real
                else [sys.executable, "-m", "scmmlab.benchmarks.scale", str(spec), str(store)]
            )
            elsewhere = f"sqlite:///{folder}/elsewhere.db"
            commands = {
                "plan": _command("plan", *of_study, "--no-estimate"),
                "run": run,
                "run again": _command("run", *of_study) if real else run,
                "status": _command("status", *of_study),
                "results": _command("results", *of_study),
                "report": _command("report", *of_study),
                "mlflow sync": _command("mlflow", "sync", *of_study, "--tracking-uri", elsewhere),
            }
            found[str(count)] = {}
            for what, command in commands.items():
                figures = _measured(command)
                figures["files"] = sum(len(files) for _, _, files in os.walk(store))
                found[str(count)][what] = figures
                if notify is not None:
                    notify(f"{count} cells, {what}: {figures['seconds']:.1f} s, {figures['peak_mib']:.0f} MiB")
    return found


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scmmlab.cli.main", *arguments]


def _measured(command: Sequence[str]) -> dict[str, float]:
    """Seconds, and the peak of the process's own memory."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        # of this process alone: RUSAGE_CHILDREN would be the greatest of all so far
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        assert process.returncode == 0, f"{' '.join(command)}\n{errors.read().decode()}"
    return {"seconds": seconds, "peak_mib": usage.ru_maxrss * 1024 / MIB}


def run_nothing(spec: Path, store_folder: Path) -> None:
    """Run a study whose cells do nothing, as `scmmlab run` runs one, but for the report."""
    study = load_study(spec).study
    assert isinstance(study, AblationSpec)
    plan, store = make_plan(study, read_manifest), ResultStore(store_folder)
    folder = store.study_folder(study.name).local
    assert folder is not None
    tracker = MlflowTracker.in_folder(folder)
    tracker.start_study(study.name, study.model_dump(mode="json"), "", versions(spec.parent))
    summary = GridRun(plan, store, without_training("ray", plan), cache(read_table), tracker).run()
    tracker.finish_study(None, complete=summary.complete)
    tracker.close()
    assert summary.complete, summary.failures


if __name__ == "__main__":
    run_nothing(Path(sys.argv[1]), Path(sys.argv[2]))
