"""The entry point: one parser for all commands, and errors that end in a sentence and an exit status."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from scmmlab import __version__
from scmmlab.cli.resolve_defaults import resolve_defaults
from scmmlab.errors import MovedSettingWarning, ScmmlabError, nearest
from scmmlab.execution.encoding import replace_missing_letters
from scmmlab.execution.interruption import INTERRUPTED, INTERRUPTION

COMMANDS = {
    "study": ("plan", "run", "status", "results", "report"),
    "submit": ("submit",),
    "jobs": ("stop", "logs"),
    "rerun": ("rerun",),
    "archive": ("export", "verify-archive"),
    "ui": ("ui",),
    "mlflow": ("mlflow",),
    "doctor": ("doctor",),
    "site": ("site",),
    "corpus": ("corpus",),
    "methods": ("methods",),
    "verify": ("verify",),
    "bench": ("bench",),
    "schema": ("schema",),
}
"""Module of this package → its commands. A command needs what its own module imports, and no more."""


class _Parser(argparse.ArgumentParser):
    """A parser whose error suggests the closest choice."""

    def error(self, message: str) -> None:  # type: ignore[override]
        if "invalid choice" in message:
            wrong = message.split("invalid choice: ")[1].split(" ")[0].strip("'\"")
            known = [name for action in self._subparsers_actions() for name in action.choices]
            close = nearest(wrong, known)
            if close:
                message += f". Did you mean {close!r}?"
        self.exit(2, f"{self.prog}: {message} Hint: {self.prog} --help\n")

    def _subparsers_actions(self) -> list[argparse._SubParsersAction[argparse.ArgumentParser]]:
        return [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of `command`, or of all commands where there is no such command."""
    parser = _Parser(
        prog="scmmlab",
        description="Run leak-free ablation studies and hyperparameter sweeps of SCMM on Ray.",
        epilog="First steps: scmmlab plan ablations/demo.yaml, then scmmlab run ablations/demo.yaml.",
    )
    parser.add_argument("--version", action="version", version=f"scmmlab {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    own = [module for module, commands in COMMANDS.items() if command in commands]
    for module in own or COMMANDS:
        import_module(f"scmmlab.cli.{module}").add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 done, 1 not as it should be, 2 invalid input, 75 cut short and to be retried, 130 interrupted.
    """
    replace_missing_letters()
    warnings.showwarning = _print_warning
    argv = sys.argv[1:] if argv is None else argv
    arguments = make_parser(argv[0] if argv else None).parse_args(argv)
    try:
        resolve_defaults(arguments)
        return int(arguments.func(arguments))
    except ScmmlabError as error:
        return _refuse(error)
    except UnicodeEncodeError as error:  # what is printed cannot raise it: it is a file's name that Python cannot write
        from scmmlab.config.file_names import unknown_letters

        return _refuse(unknown_letters(error.object))
    except KeyboardInterrupt:
        print(f"scmmlab: {INTERRUPTION}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `scmmlab results ... | head`
        sys.stderr.close()
        return 0


_show_warning = warnings.showwarning


def _print_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """A warning that is meant for users as a note, without the place in the code."""
    if issubclass(category, MovedSettingWarning):
        print(f"Note: {message}", file=sys.stderr)
    else:
        _show_warning(message, category, *where, **more)


def _refuse(error: ScmmlabError) -> int:
    print(f"scmmlab: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"Hint: {error.hint}", file=sys.stderr)
    return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
