"""Whether the features of one recording of a corpus lie so far from the others' that its unit must be another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from scmmlab.corpora import LARGEST_FACTOR, factor_text, unlike_others
from scmmlab.errors import CorpusError
from scmmlab.tables.file_rows import FileRows


def check_amplitudes(parts: Sequence[FileRows], root: Path) -> Iterator[str]:
    """Refuse recordings that are unlike the others, and say which channels are unlike the others of their recording.

    A factor on the signal shifts its differential entropy by the factor's logarithm, in each band and channel: 6.9 nat
    where mV were taken for µV. A recording is refused, since no person's EEG is a hundred times another's; a channel
    may be a bad one, and is named.

    Parameters
    ----------
    parts : sequence of FileRows
        Differential entropies of signals in µV, of each file.
    root : Path
        The corpus's folder, for messages.

    Yields
    ------
    str
        What is to be noted.

    Raises
    ------
    CorpusError
        If a recording is more than `LARGEST_FACTOR` larger or smaller than the others.
    """
    levels = {part.file: np.median(part.features, axis=(0, 2)) for part in parts}
    for file, factor in unlike_others({file: float(np.median(level_C)) for file, level_C in levels.items()}):
        raise CorpusError(
            f"'{root / file}' is in another unit than the other recordings: expected amplitudes at most "
            f"{LARGEST_FACTOR:g} times larger or smaller than their median, found {factor_text(factor)} ones.",
            "correct the unit that it states, or leave it out.",
        )
    for part in parts:
        by_channel = dict(zip(part.channels, levels[part.file].tolist(), strict=True))
        for name, factor in unlike_others(by_channel):
            yield f"{part.file}: the amplitude of channel {name} is {factor_text(factor)} than that of the others"
