"""What a tracker may know of a feature table: its identity and size, never its people or its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scmmlab.config import CorpusSelection
from scmmlab.tables import Manifest


@dataclass(frozen=True)
class DatasetInfo:
    """One side of a transfer."""

    role: Literal["source", "target"]
    """The side."""
    corpus: str
    """Name of the corpus."""
    fingerprint: str
    """Of the whole table."""
    windows: int
    """Windows of the whole table."""
    subjects: int
    """Number of subjects that take part."""
    classes: tuple[str, ...]
    """Classes that take part, in the order of their labels."""
    channels: int
    """Channels of the table."""
    bands: tuple[str, ...]
    """Names of its bands."""


def dataset_info(role: Literal["source", "target"], selection: CorpusSelection, manifest: Manifest) -> DatasetInfo:
    """What a tracker may know of the part `selection` of the table of `manifest`."""
    return DatasetInfo(
        role=role,
        corpus=manifest.corpus,
        fingerprint=manifest.fingerprint,
        windows=manifest.windows,
        subjects=len(manifest.subjects if selection.subjects is None else selection.subjects),
        classes=selection.classes or manifest.classes,
        channels=len(manifest.channels),
        bands=tuple(manifest.bands),
    )
