"""A Dockerfile's steps without Docker: its RUN lines, as they are, in a folder that stands for the image's root."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

IMAGE_FOLDERS = re.compile(r"(?<![\w/])/(?=(opt|home|var)\b)")
"""Where an image has things of its own, at the beginning of a path."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: `RUN`, its flags (`--mount=…`), and the rest as it stands."""

    name: str
    flags: tuple[str, ...]
    rest: str


def instructions(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, continued lines joined as Docker joins them."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = []
    for line in "\n".join(lines).replace("\\\n", "").splitlines():
        name, rest = line.split(maxsplit=1)
        words = rest.split()
        flags = tuple(word for index, word in enumerate(words) if all(w.startswith("--") for w in words[: index + 1]))
        for flag in flags:
            rest = rest.replace(flag, "", 1)
        found.append(Instruction(name.upper(), flags, rest.strip()))
    return found


@dataclass
class Build:
    """A build in `root`, by the interpreter in the folder `python`, with nothing of this environment but `passed`."""

    root: Path
    context: Path
    python: Path
    arguments: Mapping[str, str]
    passed: Mapping[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    folder: Path = Path("/")
    user: str = "root"
    ran: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.variables["PATH"] = f"{self.python}:/usr/local/bin:/usr/bin:/bin"
        self._arguments: dict[str, str] = {}

    def run(self, steps: list[Instruction]) -> None:
        """Carry out `steps` in order."""
        for step in steps:
            getattr(self, f"_{step.name.lower()}")(step)

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run `command` as the image would, where it would."""
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env={**self.passed, **self._arguments, **self.variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def _from(self, step: Instruction) -> None:
        assert step.rest.startswith("python:"), "the interpreter of the tests stands for an image of Python"

    def _arg(self, step: Instruction) -> None:
        name, _, default = step.rest.partition("=")
        value = self.arguments.get(name, self._placed(default))
        if value:
            self._arguments[name] = value

    def _env(self, step: Instruction) -> None:
        for pair in shlex.split(step.rest):
            name, _, value = pair.partition("=")
            known = Template(self._placed(value))
            self.variables[name] = known.substitute({**self._arguments, **self.variables})

    def _workdir(self, step: Instruction) -> None:
        self.folder = Path(self._placed(step.rest))
        self.folder.mkdir(parents=True, exist_ok=True)

    def _copy(self, step: Instruction) -> None:
        *sources, target = shlex.split(step.rest)
        for source in sources:
            place = self.folder / target
            if (self.context / source).is_dir():
                shutil.copytree(self.context / source, place)
            else:
                shutil.copy(self.context / source, place)

    def _run(self, step: Instruction) -> None:
        assert not IMAGE_FOLDERS.search(step.rest), f"a step with a fixed path cannot be run elsewhere: {step.rest}"
        done = self.shell(step.rest)
        assert done.returncode == 0, f"{step.rest}\n{done.stdout}\n{done.stderr}"
        self.ran.append(step.rest)

    def _user(self, step: Instruction) -> None:
        self.user = step.rest

    def _cmd(self, step: Instruction) -> None:
        """What a container runs is no part of a build."""

    def _placed(self, value: str) -> str:
        return IMAGE_FOLDERS.sub(f"{self.root}/", value)


def pip_settings() -> dict[str, str]:
    """What pip needs of this environment to reach its index, and its cache."""
    wanted = re.compile(r"PIP_\w+|\w+_proxy|SSL_\w+|REQUESTS_CA_BUNDLE|TMPDIR", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if wanted.fullmatch(name)}
