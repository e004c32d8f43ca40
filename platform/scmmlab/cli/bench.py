"""`scmmlab bench`: the speed of this machine."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping

from scmmlab.cli.options import device_name, positive_number


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of all commands."""
    parser = subparsers.add_parser(
        "bench",
        help="measure the speed of this machine",
        description="Measure pre-training and fine-tuning steps per second, single and packed, the share of this "
        "machine's matrix-multiplication peak, and (on a CPU) windows per second from raw EEG to features, compared "
        "with MNE and torcheeg. With --methods, --study, --overhead, --sweep or --scale, measure those instead. Needs "
        "an idle machine.",
    )
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument(
        "--precision",
        choices=("float32", "bf16", "tf32"),
        default="float32",
        help="precision of matrix multiplications: float32 (default), bf16 as a study may ask for, tf32 on a GPU "
        "for comparison",
    )
    parser.add_argument(
        "--threads", type=positive_number, default=os.cpu_count() or 1, help="threads on the CPU (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, or two cells of the study")
    parser.add_argument(
        "--no-features", action="store_true", help="measure steps only, which needs little more than torch"
    )
    parser.add_argument(
        "--torcheeg",
        metavar="PYTHON",
        help="Python interpreter with torcheeg to compare with (default: this one, if torcheeg is installed)",
    )
    parser.add_argument(
        "--project",
        action="store_true",
        help="also project the time of a study of the paper's size, with one worker per core or on one GPU",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--methods",
        action="store_true",
        help="steps per second of each installed method without pre-training, one fold alone and folds in packs",
    )
    what.add_argument(
        "--study",
        action="store_true",
        help="wall time of a fixed study of 24 cells: one process per cell, Ray Tune with one trial per worker, and "
        "packs (takes minutes)",
    )
    what.add_argument(
        "--overhead",
        metavar="TRIALS",
        type=positive_number,
        nargs="+",
        help="overhead of the execution layer per trial in ms, for that many empty trials, e.g. 100 1000",
    )
    what.add_argument(
        "--sweep",
        action="store_true",
        help="utilization of a sweep of one-second trials, with four slots on each worker",
    )
    what.add_argument(
        "--scale",
        metavar="CELLS",
        type=positive_number,
        nargs="+",
        help="time and memory of plan, run, status, results, report and MLflow for studies of that many empty "
        "cells, e.g. 100 1000 10000",
    )
    parser.add_argument("--real", action="store_true", help="with --scale: train a tiny model in each cell")
    parser.add_argument(
        "--workers", type=positive_number, help="number of workers for --study and --sweep (default: one per CPU)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    rates = _measured(arguments)
    print(json.dumps(rates, indent=2) if arguments.json else _table(rates))
    return 0


def _measured(arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.methods:
        from scmmlab.benchmarks.methods import benchmark_methods

        folds, seconds = ((1, 4), 0.2) if arguments.quick else ((1, 4, 15), 1.0)
        return benchmark_methods(arguments.device, arguments.threads, folds, seconds)
    if arguments.study:
        from scmmlab.benchmarks.study import benchmark_study

        return benchmark_study(workers=arguments.workers, quick=arguments.quick)
    if arguments.overhead:
        from scmmlab.benchmarks.overhead import benchmark_overhead

        return {engine: benchmark_overhead(engine, tuple(arguments.overhead)) for engine in ("ray", "local")}
    if arguments.sweep:
        from scmmlab.benchmarks.sweep import benchmark_sweep

        return benchmark_sweep(arguments.workers)
    if arguments.scale:
        from scmmlab.benchmarks.scale import benchmark_scale

        scale = benchmark_scale(
            arguments.scale, arguments.real, lambda figure: print(figure, file=sys.stderr, flush=True)
        )
        return dict(scale)
    from scmmlab.benchmarks.steps import benchmark

    rates = dict(benchmark(arguments.device, arguments.quick, arguments.threads, arguments.precision))
    if arguments.project:
        from scmmlab.benchmarks.projection import project

        rates["paper_study"] = project(rates, (os.cpu_count() or 1) if arguments.device == "cpu" else 1)
    if arguments.device == "cpu" and not arguments.no_features:
        from scmmlab.features.benchmark import benchmark_features

        rates["features"] = benchmark_features(repeats=2 if arguments.quick else 5, torcheeg=arguments.torcheeg)
    return rates


def _table(rates: Mapping[str, object], prefix: str = "") -> str:
    lines: list[str] = []
    for name, value in rates.items():
        if isinstance(value, Mapping):
            lines.append(_table(value, f"{prefix}{name}."))
        else:
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            lines.append(f"{prefix + name:<45} {text}")
    return "\n".join(lines)
