"""`scmmlab verify`: this machine's numerics against golden vectors."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from scmmlab.cli.options import device_name

if TYPE_CHECKING:  # the command imports it when it runs
    from scmmlab.methods.golden import GoldenCheck


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of all commands."""
    parser = subparsers.add_parser(
        "verify",
        help="check this machine's numerics against golden vectors",
        description="Check this machine's numerics against golden vectors (.npz): one line per quantity with its "
        "largest relative error and tolerance. Exit status 1 if a tolerance is exceeded.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE.npz", help="files of golden vectors, e.g. tests/golden/*.npz")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument(
        "--precision",
        choices=("float32", "tf32"),
        default="float32",
        help="precision of float32 matrix multiplications on a GPU (default: float32); tolerances are those of float32",
    )
    parser.add_argument("--pack", action="store_true", help="check one replica in a pack of seven with other settings")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Check every file and print one line a quantity."""
    from scmmlab.methods.verification import verify_file
    from scmmlab.replica.precision import check_precision, multiplications

    check_precision(arguments.precision, arguments.device)
    checks: list[GoldenCheck] = []
    with multiplications(arguments.precision):
        for file in arguments.files:
            print(file)
            checks += _shown(verify_file(file, device=arguments.device, pack=arguments.pack))
        if arguments.device != "cpu":
            from scmmlab.benchmarks.graph_check import verify_graphs

            print("CUDA graphs, compared with the same kernels launched one by one")
            of_graphs, reasons = verify_graphs(arguments.device)
            checks += _shown(of_graphs)
            for reason in reasons:
                print(f"  not captured: {reason}")
    failed = sum(not check.ok for check in checks)
    print(f"{len(checks) - failed} of {len(checks)} quantities within tolerance on {arguments.device}.")
    return 1 if failed else 0


def _shown(checks: list[GoldenCheck]) -> list[GoldenCheck]:
    for check in checks:
        verdict = "ok" if check.ok else "OVER"
        print(f"  {check.quantity:<40} {check.error:9.2e}  tolerance {check.tolerance:.0e}  {verdict}")
    return checks
