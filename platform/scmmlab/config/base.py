"""The base of every spec: frozen, strict, documented field by field, with a fingerprint."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict

Scalar = bool | int | float | str | None
Changes = dict[str, Scalar | list[Scalar] | dict[str, Any]]
"""Dotted path of the experiment → value, for example `masking.ratio: 0.7`."""


class Spec(BaseModel):
    """A typed, frozen value of configuration.

    Unknown keys are refused, and the docstring beneath a field is its description in the JSON schema.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no white space, so that equal values have equal text."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(value: Any, length: int = 16) -> str:
    """A hexadecimal SHA-256 of `value` in its canonical form, cut to `length` digits (64 bits by default)."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]
