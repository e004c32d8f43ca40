"""A cell's settings as flat parameters: dotted names, values as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from scmmlab.study import Cell

LONGEST_VALUE = 6000
"""Characters of a value that MLflow takes."""


def cell_parameters(cell: Cell) -> dict[str, str]:
    """Variant, transfer, seed, number of channels and every setting of the experiment: `masking.ratio` → `0.5`."""
    facts = {
        "variant": cell.variant,
        "transfer": cell.transfer.name,
        "seed": cell.seed,
        "channels": len(cell.channels),
    }
    settings = cell.experiment.model_dump(mode="json")
    return flat_parameters({**facts, **settings})


def flat_parameters(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested values by dotted name, as text."""
    return dict(_flat(values, ""))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{prefix}{name}", text[:LONGEST_VALUE]
