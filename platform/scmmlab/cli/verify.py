"""`scmmlab verify`: this machine's numerics against golden vectors."""

from __future__ import annotations

import argparse

from scmmlab.cli.options import device_name


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser of all commands."""
    parser = subparsers.add_parser(
        "verify",
        help="check this machine's numerics against golden vectors",
        description="Check this machine's numerics against golden vectors (.npz): one line a quantity with its largest "
        "relative error and its tolerance. Exit status 1 when one is over.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE.npz", help="files of golden vectors, e.g. tests/golden/*.npz")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--pack", action="store_true", help="check a replica amid a pack of seven with other settings")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Check every file and print one line a quantity."""
    from scmmlab.training.verification import verify_file

    failed = total = 0
    for file in arguments.files:
        checks = verify_file(file, device=arguments.device, pack=arguments.pack)
        print(file)
        for check in checks:
            verdict = "ok" if check.ok else "OVER"
            print(f"  {check.quantity:<40} {check.error:9.2e}  tolerance {check.tolerance:.0e}  {verdict}")
        total += len(checks)
        failed += sum(not check.ok for check in checks)
    print(f"{total - failed} of {total} quantities within tolerance on {arguments.device}.")
    return 1 if failed else 0
