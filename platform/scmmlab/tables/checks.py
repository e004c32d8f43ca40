"""What the rows of a feature table must satisfy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scmmlab.errors import CorpusError

if TYPE_CHECKING:
    from scmmlab.tables.feature_table import FeatureTable

KEY_COLUMNS = ("subject", "session", "trial", "window")
"""The columns that say which window a row is, in the order that rows are sorted by."""


def check_rows(table: FeatureTable, where: str) -> None:
    """Check a table whose rows are sorted.

    Raises
    ------
    CorpusError
        If a window stands twice, a label is outside the classes, a feature is not finite, a subject is not in the
        manifest, a trial has two labels, or there is no window at all. It names `where`.
    """
    if not len(table):
        raise CorpusError(f"There is no window in {where}: expected at least one.")
    keys = np.stack([getattr(table, name) for name in KEY_COLUMNS])
    _check_duplicates(table, keys, where)
    _check_labels(table, keys, where)
    _check_finite(table, where)
    unknown = sorted(set(np.unique(table.subject).tolist()) - set(table.manifest.subjects))
    if unknown:
        raise CorpusError(
            f"A subject is not in the manifest of {where}: expected {number_ranges(sorted(table.manifest.subjects))}, "
            f"found {number_ranges(unknown)}."
        )


def number_ranges(numbers: Sequence[int]) -> str:
    """Sorted numbers in the form that a study takes: `0-17, 20`."""
    texts: list[str] = []
    start = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[end - 1] + 1:
            texts.append(str(numbers[start]) if end - start == 1 else f"{numbers[start]}-{numbers[end - 1]}")
            start = end
    return ", ".join(texts)


def _name_row(table: FeatureTable, row: int) -> str:
    return ", ".join(f"{name} {getattr(table, name)[row]}" for name in KEY_COLUMNS)


def _check_duplicates(table: FeatureTable, keys: NDArray[np.int32], where: str) -> None:
    repeated = np.flatnonzero((keys[:, 1:] == keys[:, :-1]).all(axis=0))
    if len(repeated):
        raise CorpusError(
            f"A window is duplicated in {where}: expected each one once, found {_name_row(table, repeated[0])} twice."
        )


def _check_labels(table: FeatureTable, keys: NDArray[np.int32], where: str) -> None:
    classes = table.manifest.classes
    outside = np.flatnonzero((table.label < 0) | (table.label >= len(classes)))
    if len(outside):
        raise CorpusError(
            f"A label is outside the classes in {where}: expected 0 to {len(classes) - 1} {list(classes)}, found "
            f"{table.label[outside[0]]} at {_name_row(table, outside[0])}."
        )
    same_trial = (keys[:3, 1:] == keys[:3, :-1]).all(axis=0)
    changed = np.flatnonzero(same_trial & (table.label[1:] != table.label[:-1])) + 1
    if len(changed):
        raise CorpusError(
            f"A trial has two labels in {where}: expected one, found {table.label[changed[0] - 1]} and then "
            f"{table.label[changed[0]]} at {_name_row(table, changed[0])}."
        )


def _check_finite(table: FeatureTable, where: str) -> None:
    wrong = np.argwhere(~np.isfinite(table.features))
    if len(wrong):
        row, channel, band = wrong[0]
        raise CorpusError(
            f"A feature is not finite in {where}: expected finite numbers, found {table.features[row, channel, band]} "
            f"in channel {table.manifest.channels[channel]}, band {list(table.manifest.bands)[band]}, at "
            f"{_name_row(table, row)}."
        )
