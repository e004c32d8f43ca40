"""Files beside the recordings whose bytes also decide what a table holds."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from scmmlab.corpora.lab.bids import sidecars_of
from scmmlab.corpora.lab.formats import parts_of
from scmmlab.corpora.lab.layout import LayoutSpec, ParticipantLabels, TableTrials
from scmmlab.corpora.lab.marks import table_file
from scmmlab.corpora.lab.recordings import find_recordings
from scmmlab.corpora.opening import open_below
from scmmlab.errors import CorpusError

_SIGNALS = (".eeg", ".dat", ".fdt")
"""Endings of files that hold the signal of a recording whose header is another file."""


def find_companions(layout: LayoutSpec, root: Path) -> tuple[str, ...]:
    """All of them, relative to the root, each once and in the order of their names.

    Raises
    ------
    CorpusError
        If a recording lacks a part, one lies outside `root`, or two recordings have the same signal.
    """
    found: set[str] = set()
    recordings = find_recordings(layout.recordings, root)
    for recording in recordings:
        found.update(parts_of(root, recording.file, layout.recordings))
        if isinstance(layout.trials, TableTrials):
            found.add(table_file(layout.trials, root, recording))
        if layout.recordings.bids is not None:
            found.update(sidecars_of(root, recording.file, dated=layout.recordings.order == "date"))
    if isinstance(layout.labels, ParticipantLabels):
        found.add(layout.labels.file)
    _refuse_copies(root, found)
    files = {recording.file for recording in recordings}
    return tuple(sorted(file for file in found - files if open_below(root, file).is_file()))


def _refuse_copies(root: Path, files: Iterable[str]) -> None:
    """Headers name their files, and so differ where signals are copies, as after a copy to the wrong name."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for file in sorted(files):
        if file.lower().endswith(_SIGNALS):
            by_size[open_below(root, file).stat().st_size].append(file)
    for same_size in by_size.values():
        for first, second in combinations(same_size, 2):
            if filecmp.cmp(root / first, root / second, shallow=False):
                raise CorpusError(
                    f"'{root / second}' is a copy of '{root / first}': expected different recordings, found the same "
                    "bytes."
                )
