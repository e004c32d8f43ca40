"""From marks to trials: stretches of a recording with a class, numbered in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scmmlab.corpora.lab.classless import may_start, without_class
from scmmlab.corpora.lab.labels import Labels, expected_values
from scmmlab.corpora.lab.layout import AnnotationTrials, EventTrials, FileTrials, LayoutSpec, StatusTrials
from scmmlab.corpora.lab.marks import Mark, NoRowError, read_marks
from scmmlab.corpora.lab.recordings import LabRecording
from scmmlab.corpora.lab.tables import is_same
from scmmlab.corpora.left_out import LeftOut
from scmmlab.corpora.recording import TrialSpan
from scmmlab.errors import CorpusError

TRIALS_PER_RUN = 10_000
"""Trials of a session's second run are numbered from here on, and so forth: a file is read without those before it."""
_MOST_SHOWN = 8


@dataclass(frozen=True)
class FoundTrials:
    """The trials of a recording.

    Parameters
    ----------
    spans : tuple of TrialSpan
        In time order; none where all are left out.
    left_out : tuple of LeftOut
        What is not in the trials.
    """

    spans: tuple[TrialSpan, ...]
    left_out: tuple[LeftOut, ...] = ()


def find_trials(layout: LayoutSpec, root: Path, recording: LabRecording, raw: Any) -> FoundTrials:
    """The trials of a recording.

    Raises
    ------
    CorpusError
        If two overlap, one is not inside the recording, or, where the layout says so, one is of no class.
    """
    path, rate = root / recording.file, float(raw.info["sfreq"])
    labels = Labels.of_recording(layout.labels, root, recording)
    try:
        marks = read_marks(layout.trials, root, recording, raw)
    except NoRowError as error:
        if layout.labels.others == "refuse":
            raise
        return FoundTrials((), (LeftOut(where=recording.file, what="the recording", why=error.why),))
    labelled = [labels.of(mark) if may_start(layout, mark) else None for mark in marks]
    left_out = without_class(layout, recording, labels, marks, labelled, raw.n_times / rate)
    spans: list[TrialSpan] = []
    for index, (mark, label) in enumerate(zip(marks, labelled, strict=True)):
        if label is None or not mark.is_placed:
            continue
        end_s = _end(layout, marks, labelled, index, raw.n_times / rate, path)
        start, stop = round(mark.onset_s * rate), round(end_s * rate)
        _check_span(start, stop, raw.n_times, spans[-1].stop if spans else 0, rate, path)
        # rounding may put neighbours, or the end, one sample too far
        start, stop = max(start, spans[-1].stop if spans else 0), min(stop, raw.n_times)
        spans += _blocks(layout, label, start + round(layout.trials.skip_s * rate), stop, rate, path)
    if not spans and not left_out:
        found = list(dict.fromkeys(labels.value(mark) for mark in marks))
        shown = ", ".join(map(repr, found[:_MOST_SHOWN])) + (" …" if len(found) > _MOST_SHOWN else "")
        raise CorpusError(
            f"There is no trial in '{path}': expected {expected_values(layout.labels.classes)}, found "
            f"{shown or 'no mark at all'}.",
            "labels.classes says which values stand for which class, trials.starts which marks start a trial.",
        )
    if len(spans) >= TRIALS_PER_RUN:
        raise CorpusError(
            f"'{path}' has too many trials: expected fewer than {TRIALS_PER_RUN}, found {len(spans)}.",
            "longer blocks (trials.block_s) make fewer.",
        )
    first = recording.run * TRIALS_PER_RUN + 1
    numbered = (TrialSpan(number, span.label, span.start, span.stop) for number, span in enumerate(spans, start=first))
    return FoundTrials(tuple(numbered), left_out)


def _starts(layout: LayoutSpec, mark: Mark, label: int | None) -> bool:
    starts = getattr(layout.trials, "starts", None)
    return label is not None if starts is None else any(is_same(mark.description, one) for one in starts)


def _end(
    layout: LayoutSpec, marks: Sequence[Mark], labelled: Sequence[int | None], index: int, end_s: float, path: Path
) -> float:
    """Where the trial that a mark starts is over, in s."""
    trials, mark = layout.trials, marks[index]
    if isinstance(trials, FileTrials):
        return end_s
    if trials.seconds is not None:
        return mark.onset_s + trials.seconds
    if trials.length == "stated":
        if not mark.duration_s > 0:
            raise CorpusError(
                f"A trial in '{path}' states no length: expected a duration above 0 s, found {mark.duration_s:g} at "
                f"{mark.onset_s:.3f} s ({mark.description or 'a row of the table'}).",
                "trials.length: until_next or trials.seconds say the length where nothing states it.",
            )
        return mark.onset_s + mark.duration_s
    ends = trials.ends if isinstance(trials, AnnotationTrials | StatusTrials | EventTrials) else ()
    for other, label in zip(marks[index + 1 :], labelled[index + 1 :], strict=True):
        if not other.is_placed:
            break
        if not ends or _starts(layout, other, label) or any(is_same(other.description, one) for one in ends):
            return other.onset_s
    return end_s


def _check_span(start: int, stop: int, samples: int, before: int, rate: float, path: Path) -> None:
    where = f"a trial from {start / rate:.3f} s to {stop / rate:.3f} s"
    if start < 0 or stop > samples + 1:
        raise CorpusError(
            f"A trial is not inside '{path}': expected {samples / rate:.3f} s at most, found {where}.",
            "the recording may be cut off, or onsets may count from elsewhere than its start.",
        )
    if start < before - 1:
        raise CorpusError(
            f"Trials overlap in '{path}': expected each to start after the one before, which ends at "
            f"{before / rate:.3f} s, found {where}."
        )


def _blocks(layout: LayoutSpec, label: int, start: int, stop: int, rate: float, path: Path) -> list[TrialSpan]:
    """The trial, or the blocks that it is cut into; they are numbered later."""
    if stop <= start:
        raise CorpusError(
            f"A trial in '{path}' is over before it starts: expected more than trials.skip_s "
            f"({layout.trials.skip_s:g} s), found an end at {stop / rate:.3f} s."
        )
    if layout.trials.block_s is None:
        return [TrialSpan(0, label, start, stop)]
    block = max(1, round(layout.trials.block_s * rate))
    edges = [start + index * block for index in range(max(1, (stop - start) // block))] + [stop]
    return [TrialSpan(0, label, *edges[index : index + 2]) for index in range(len(edges) - 1)]
