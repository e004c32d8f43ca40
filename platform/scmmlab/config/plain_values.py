"""Convert Python values, such as a notebook's, to those that YAML would give."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from scmmlab.errors import SpecError


def plain(value: Any) -> Any:
    """`value` in mappings, lists and single values; arrays and their numbers become lists and numbers of Python.

    Raises
    ------
    SpecError
        If a mapping has a key that is no text.
    """
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        odd = [key for key in value if not isinstance(key, str)]
        if odd:
            raise SpecError(f"Keys of a study must be text, got {odd[0]!r}.")
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(inner) for inner in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # of NumPy, pandas and torch
        return plain(value.tolist())
    return value
