"""The wall time of a fixed study of 24 cells: a process a cell, Ray Tune with a trial a worker, and packs (our runs).

All run the same stages of the same cells on the same number of workers of one thread each, each from a fresh
interpreter, and must come to the same table. What differs is who starts what, and how often::

    python -m scmmlab.benchmarks.study cell SPEC STORE NUMBER     one cell, in this process
    python -m scmmlab.benchmarks.study tune SPEC STORE            all cells, each a trial of Ray Tune
    python -m scmmlab.benchmarks.study packs SPEC STORE           all cells, as `scmmlab run` does
    python -m scmmlab.benchmarks.study local SPEC STORE           all cells, as `scmmlab run --engine local` does
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scmmlab.config import AblationSpec
from scmmlab.study import Plan, ResultStore, make_plan, result_rows, rows_csv
from scmmlab.tables import read_manifest

if TYPE_CHECKING:  # the engines take a while to import
    from scmmlab.execution.engines import EngineName

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "mask_less": {"masking.ratio": 0.3},
    "mask_more": {"masking.ratio": 0.7},
    "mask_values": {"masking.mode": "random"},
    "mask_channels": {"masking.mode": "channel"},
    "hard_weights": {"contrast.weights": "hard"},
    "no_contrast": {"contrast.enabled": False},
    "no_aggregator": {"aggregator.enabled": False},
    "top_32": {"aggregator.top_k": 32},
    "cold": {"contrast.temperature": 0.2},
    "bounded": {"contrast.upper_bound": 0.25},
    "slow": {"pretrain.optimizer.learning_rate": 1e-4},
}
"""Each changes pre-training, so that no cell is spared by what another has done."""

STUDY: dict[str, Any] = {
    "name": "bench",
    "base": {
        "pretrain": {"epochs": 4, "batch_size": 256},
        "finetune": {"epochs": 3, "batch_size": 128},
        "protocol": {"kind": "loso", "subjects_per_fold": 3},
    },
    "transfers": [
        {
            "name": "eegmat-a-to-b",
            "source": {"table": "shipped:eegmat", "subjects": list(range(18))},
            "target": {"table": "shipped:eegmat", "subjects": list(range(18, 36))},
        }
    ],
    "seeds": [0, 1],
}
"""Real EEG at the published width: 24 encoders of 4 epochs, and 144 folds of 3."""

QUICK_VARIANTS, QUICK_SEEDS = 2, [0]
"""What is left of it for a look whether it runs."""


def fixed_study(quick: bool = False) -> AblationSpec:
    """The study; `quick`: two cells of it."""
    names = list(VARIANTS)[: QUICK_VARIANTS if quick else None]
    seeds = QUICK_SEEDS if quick else STUDY["seeds"]
    return AblationSpec.model_validate(
        STUDY | {"variants": {name: {"set": VARIANTS[name]} for name in names}, "seeds": seeds}
    )


def benchmark_study(workers: int | None = None, quick: bool = False) -> dict[str, Any]:
    """Run the fixed study in each of the ways, one after the other.

    Parameters
    ----------
    workers : int | None
        Cells, trials or packs at a time; as many as there are CPUs when None.
    quick : bool
        Two cells only.

    Returns
    -------
    dict
        ``seconds`` of each way; ``ratio`` of them to packs on Ray, and ``ratio_to_one_process`` to packs in one process
        whose threads share the replicas; ``same_numbers`` (whether all tables are equal byte for byte); and ``load``
        (running processes of the machine, before each).
    """
    workers = workers or os.cpu_count() or 1
    study = fixed_study(quick)
    study = study.model_copy(update={"resources": study.resources.model_copy(update={"workers": workers})})
    count = len(study.variants) * len(study.seeds)
    seconds: dict[str, float] = {}
    load: dict[str, float] = {}
    tables: dict[str, str] = {}
    ways: dict[str, Callable[[Path, Path], None]] = {
        "packs": lambda spec, store: _call("packs", spec, store),
        "packs_in_one_process": lambda spec, store: _call("local", spec, store),
        "process_a_cell": lambda spec, store: _processes(spec, store, count, workers),
        "tune_trial_a_worker": lambda spec, store: _call("tune", spec, store),
    }
    with tempfile.TemporaryDirectory(prefix="scmmlab-bench-") as folder:
        spec = Path(folder) / "study.json"
        spec.write_text(study.model_dump_json(), encoding="utf-8")
        for name, way in ways.items():
            load[name] = os.getloadavg()[0]
            began = time.perf_counter()
            way(spec, Path(folder) / name)
            seconds[name] = time.perf_counter() - began
            tables[name] = _table(_plan(spec), ResultStore(Path(folder) / name))
            print(f"{name}: {seconds[name]:.0f} s (load before: {load[name]:.1f})", file=sys.stderr, flush=True)
    return {
        "cells": count,
        "workers": workers,
        "seconds": seconds,
        "ratio": {name: taken / seconds["packs"] for name, taken in seconds.items()},
        "ratio_to_one_process": {name: taken / seconds["packs_in_one_process"] for name, taken in seconds.items()},
        "same_numbers": len(set(tables.values())) == 1,
        "load": load,
    }


def _processes(spec: Path, store: Path, count: int, workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda number: _call("cell", spec, store, str(number)), range(count)))


def _call(*arguments: object) -> None:
    command = [sys.executable, "-m", "scmmlab.benchmarks.study", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    assert not done.returncode, f"{' '.join(command)}\n{done.stderr}"


def _plan(spec: Path) -> Plan:
    return make_plan(AblationSpec.model_validate(json.loads(spec.read_text(encoding="utf-8"))), read_manifest)


def _table(plan: Plan, store: ResultStore) -> str:
    return rows_csv(result_rows(plan.study.name, plan.cells, store.get_cell))


def run_cell(spec: Path, store: Path, number: int) -> None:
    """Run one cell in this process."""
    plan = _plan(spec)
    _run_whole(replace(plan, cells=(plan.cells[number],)), store, "local")


def run_tune(spec: Path, store: Path) -> None:
    """Run all cells as trials of Ray Tune, each in an actor of one CPU."""
    from ray import tune

    from scmmlab.execution.ray.session import ray_session

    plan = _plan(spec)
    with ray_session(num_cpus=plan.study.resources.most_workers), tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(_trainable, {"cpu": 1}),
            param_space={
                "spec": str(spec),
                "store": str(store),
                "number": tune.grid_search(list(range(len(plan.cells)))),
            },
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        assert not tuner.fit().errors


def _trainable(config: dict[str, Any]) -> dict[str, int]:
    run_cell(Path(config["spec"]), Path(config["store"]), config["number"])
    return {"done": 1}


def run_packs(spec: Path, store: Path) -> None:
    """Run all cells as `scmmlab run` does."""
    _run_whole(_plan(spec), store, "ray")


def run_local(spec: Path, store: Path) -> None:
    """Run all cells in this process, with as many threads as there are workers otherwise."""
    _run_whole(_plan(spec), store, "local")


def _run_whole(plan: Plan, store: Path, engine: EngineName) -> None:
    from scmmlab.execution.engines import run_study

    summary = run_study(plan, ResultStore(store), engine)
    assert summary.complete, summary.failures


def main(arguments: Sequence[str]) -> None:
    """Run a part of the benchmark."""
    way, spec, store, *rest = arguments
    if way == "cell":
        run_cell(Path(spec), Path(store), int(rest[0]))
    else:
        {"tune": run_tune, "packs": run_packs, "local": run_local}[way](Path(spec), Path(store))


if __name__ == "__main__":
    main(sys.argv[1:])
