"""Contexts of the conformance suite in which each setting of alignment matters."""

from __future__ import annotations

from typing import Any

GRANTED = {"protocol.kind": "uda_inductive"}
"""Without it no alignment is allowed."""
ALIGNED: tuple[dict[str, Any], ...] = tuple(
    {**GRANTED, "alignment.kind": kind} for kind in ("none", "recentre", "coral", "subspace", "tca", "ot")
)
