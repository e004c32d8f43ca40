"""Where the signal of a recording is interrupted, and what becomes of trials that go over such a place."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scmmlab.corpora.lab.formats import read_segment
from scmmlab.corpora.lab.marks import Mark
from scmmlab.corpora.lab.timing import Timing
from scmmlab.corpora.left_out import LeftOut
from scmmlab.corpora.recording import Stretch, TrialSpan
from scmmlab.errors import CorpusError

CONSTANT_S = 0.5
"""So long must all channels hold one value to count as a gap: no EEG does, and whatever fills a gap does."""
_CUT = re.compile(r"(bad|edge)?[ _]?boundary|new segment\b.*|-99(\.0)?")
"""Joints of stretches that did not follow each other: of EEGLAB (-99 where types are numbers), of MNE, of BrainVision.
What they state as their duration is not in the data."""
_MISSING = re.compile(r"bad_acq_skip|bad_disconnect(ion)?")
"""Stretches in which nothing was recorded, and which are in the data all the same."""
_NEAR = 0.25
"""By how much of a sample onsets may be rounded."""
_TYPE = re.compile(r"(comment|stimulus|response)/", re.IGNORECASE)
"""What BrainVision writes before descriptions."""


def is_gap(mark: Mark) -> bool:
    """Whether a mark says that the signal is interrupted."""
    text = _bare(mark)
    return bool(_CUT.fullmatch(text) or _MISSING.fullmatch(text))


def is_bad(mark: Mark) -> bool:
    """Whether a mark says that the signal is no good, as MNE has it: in capitals or not."""
    return _bare(mark).startswith("bad") and not is_gap(mark)


def stated_gaps(timing: Timing, marks: Iterable[Mark]) -> tuple[Stretch, ...]:
    """The gaps that the clock of a recording, its annotations or marks beside it tell of, in ticks."""
    gaps = []
    for (start, first), (tick, sample) in pairwise(timing.pieces):
        last = start + sample - first
        missing = (tick - last) / timing.rate
        gaps.append(Stretch(last, tick, f"{missing:.3f} s that are missing between two records"))
    for mark in (*timing.annotations, *timing.own, *marks):
        if is_gap(mark) and math.isfinite(mark.onset_s):
            # EEGLAB's joints stand half-way between two samples
            start = math.ceil(mark.onset_s * timing.rate - _NEAR)
            stop = start if _CUT.fullmatch(_bare(mark)) else round(mark.end_s * timing.rate)
            gaps.append(Stretch(start, max(start, stop), mark.description))
    return tuple(dict.fromkeys(gaps))


def bad_stretches(marks: Iterable[Mark], rate: float) -> tuple[Stretch, ...]:
    """What marks say is no good, in ticks; one without a duration speaks of the tick that it stands at."""
    bad = [mark for mark in marks if is_bad(mark) and math.isfinite(mark.onset_s)]
    edges = [(round(mark.onset_s * rate), round(mark.end_s * rate), mark.description) for mark in bad]
    return tuple(dict.fromkeys(Stretch(start, max(stop, start + 1), why) for start, stop, why in edges))


def constant_stretches(raw: Any, picks: Sequence[int], start: int, stop: int, path: Path) -> tuple[Stretch, ...]:
    """Samples, of start to stop, in which all of some channels hold their values for `CONSTANT_S` or longer."""
    shortest = max(2, round(CONSTANT_S * float(raw.info["sfreq"])))
    found = [(start, stop)]
    # one channel after the other, and the next only where all before it are constant: nearly always one is read
    for pick in picks:
        found = [part for first, last in found for part in _constant(raw, pick, first, last, shortest, path)]
    return tuple(Stretch(first, last, "all channels hold one value") for first, last in found)


def apply_gap_policy(
    span: TrialSpan,
    gaps: Iterable[Stretch],
    at_gaps: Literal["refuse", "cut", "drop"],
    rate: float,
    path: Path,
    file: str,
) -> tuple[TrialSpan | None, LeftOut | None]:
    """What becomes of a trial that may go over a gap.

    Parameters
    ----------
    span : TrialSpan
        The trial.
    gaps : iterable of Stretch
        In the samples, or ticks, of the trial.
    at_gaps : {"refuse", "cut", "drop"}
        As in the layout.
    rate : float
        Samples in a s.
    path : Path
        The recording, for messages.
    file : str
        The same, relative to the root.

    Returns
    -------
    span, left_out
        What remains of it, or None; and what does not, or None.

    Raises
    ------
    CorpusError
        If there is a gap and `refuse` is said.
    """
    gaps = tuple(gaps)
    # rounding may put an edge one sample into a gap that it is meant to keep from
    start = max([span.start, *(gap.stop for gap in gaps if gap.stop == span.start + 1)])
    stop = min([span.stop, *(gap.start for gap in gaps if gap.start == span.stop - 1)])
    span = replace(span, start=start, stop=stop)
    touched = [gap for gap in gaps if gap.touches(start, stop)]
    if not touched:
        return span, None
    first = min(touched, key=lambda gap: gap.start)
    why = f"{first.why} at {max(first.start, 0) / rate:.3f} s"
    if at_gaps == "refuse":
        raise CorpusError(
            f"Trial {span.trial} goes over a gap in '{path}': expected a signal without one from "
            f"{span.start / rate:.3f} s to {span.stop / rate:.3f} s, found {why}.",
            "trials.at_gaps: cut ends trials at gaps, drop leaves them out.",
        )
    if at_gaps == "drop" or first.start <= span.start:
        return None, LeftOut(where=file, what=f"trial {span.trial}", why=f"a gap: {why}", trials=1)
    lost = (span.stop - first.start) / rate
    bad = tuple(each for each in span.bad if each.start < first.start)
    kept = replace(span, stop=first.start, bad=bad, cut=f"cut at a gap: {why}")
    return kept, LeftOut(where=file, what=f"{lost:.3f} s of trial {span.trial}", why=f"a gap: {why}")


def with_margins(span: TrialSpan, gaps: Iterable[Stretch], margin: int, samples: int) -> tuple[int, int]:
    """A trial's samples and so many before and after it as no gap keeps from it."""
    first, last = max(0, span.start - margin), min(samples, span.stop + margin)
    for gap in gaps:
        if gap.stop <= span.start:
            first = max(first, gap.stop)
        elif gap.start >= span.stop:
            last = min(last, gap.start)
    return first, last


def _bare(mark: Mark) -> str:
    return _TYPE.sub("", mark.description.strip(), count=1).strip().casefold()


def _constant(raw: Any, pick: int, start: int, stop: int, shortest: int, path: Path) -> Iterator[tuple[int, int]]:
    (values,) = read_segment(raw, [pick], start, stop, path)
    # runs of samples that are like the one before
    same = np.concatenate([[False], values[1:] == values[:-1], [False]])
    edges = np.flatnonzero(same[1:] != same[:-1])
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if last - first + 1 >= shortest:
            yield start + first, start + last + 1
