"""A study in any of the forms that Python has it in, read and checked as a file is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from scmmlab.config import AblationSpec, SweepSpec
from scmmlab.config.loading import Override, load_study, study_from_values
from scmmlab.config.plain_values import plain
from scmmlab.errors import SpecError

AnyStudy = str | os.PathLike[str] | Mapping[str, Any] | AblationSpec | SweepSpec
"""A YAML file, what would be in one, or a spec."""


def read_study(study: AnyStudy, overrides: Sequence[Override]) -> tuple[AblationSpec | SweepSpec, Path | None]:
    """The study with its changes, and the file if it is one.

    Raises
    ------
    SpecError
        Whatever is wrong with it.
    """
    if isinstance(study, str | os.PathLike):
        loaded = load_study(study, overrides)
        return loaded.study, loaded.path
    if isinstance(study, Mapping | BaseModel):
        return study_from_values(plain(study), overrides), None
    raise SpecError(f"A study must be a file, a mapping of keys to values or a spec, got {study!r}.")


def as_overrides(given: Mapping[str, Any] | Sequence[Override]) -> list[Override]:
    """Changes of a study in the forms that the configuration takes.

    Raises
    ------
    SpecError
        If they are no changes.
    """
    if isinstance(given, Mapping):
        return [(str(path), plain(value)) for path, value in given.items()]
    overrides = [given] if isinstance(given, str) else list(given)
    for override in overrides:
        if not (isinstance(override, str) or (isinstance(override, tuple) and len(override) == 2)):
            raise SpecError(
                "Invalid value for 'set': it must be a mapping of dotted paths to values, or path=value, got "
                f"{override!r}.",
                hint='for example {"seeds": [0]}',
            )
    return [override if isinstance(override, str) else (str(override[0]), plain(override[1])) for override in overrides]
