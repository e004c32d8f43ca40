"""The command line, in this process: what a test types, and what it is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from scmmlab.cli.main import main


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def scmmlab(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, in this process."""

    def run(*arguments: object) -> Done:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as exit_:  # argparse ends so
            status = int(exit_.code or 0)
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return run
