"""From marks to trials: stretches of a recording with a class, numbered in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from scmmlab.corpora.lab.classless import may_start, without_class
from scmmlab.corpora.lab.gaps import apply_gap_policy, bad_stretches, is_bad, is_gap, stated_gaps
from scmmlab.corpora.lab.labels import Labels, expected_values
from scmmlab.corpora.lab.layout import AnnotationTrials, EventTrials, FileTrials, LayoutSpec, StatusTrials
from scmmlab.corpora.lab.marks import Mark, NoRowError, read_marks
from scmmlab.corpora.lab.recordings import LabRecording
from scmmlab.corpora.lab.tables import is_same
from scmmlab.corpora.lab.timing import Timing
from scmmlab.corpora.left_out import LeftOut
from scmmlab.corpora.recording import Stretch, TrialSpan
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
        In time order, none over a gap; none at all where all are left out.
    gaps : tuple of Stretch
        Where the signal is interrupted, in samples.
    left_out : tuple of LeftOut
        What is not in the trials.
    notes : tuple of str
        What a reader of the manifest should know.
    """

    spans: tuple[TrialSpan, ...]
    gaps: tuple[Stretch, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def find_trials(layout: LayoutSpec, root: Path, recording: LabRecording, raw: Any, timing: Timing) -> FoundTrials:
    """The trials of a recording.

    Parameters
    ----------
    layout : LayoutSpec
        Where trials and labels come from.
    root : Path
        The corpus's folder.
    recording : LabRecording
        Which of its recordings.
    raw : mne.io.Raw
        It, opened.
    timing : Timing
        Its clock and annotations.

    Raises
    ------
    CorpusError
        If two overlap, one is not inside the recording or goes over a gap that the layout refuses, or, where the layout
        says so, one is of no class.
    """
    path, rate = root / recording.file, timing.rate
    labels = Labels.of_recording(layout.labels, root, recording)
    try:
        marks = read_marks(layout.trials, root, recording, raw, timing)
    except NoRowError as error:
        if layout.labels.others == "refuse":
            raise
        return FoundTrials((), left_out=(LeftOut(where=recording.file, what="the recording", why=error.why),))
    # what is said of the signal is no event, unless the layout takes it for one
    said = [mark for mark in marks if not _is_aside(layout, mark, labels)]
    labelled = [(mark, labels.of(mark) if may_start(layout, mark) else None) for mark in said]
    outside = [mark for mark, label in labelled if label is None and _is_outside(mark, timing)]
    inside = [(mark, label) for mark, label in labelled if label is not None or not _is_outside(mark, timing)]
    no_trial = (
        *without_class(layout, recording, labels, inside, timing.stop / rate),
        *_outside(recording.file, outside),
    )
    stated = [mark for mark in marks if mark.is_placed] if isinstance(layout.trials, EventTrials) else []
    gaps = stated_gaps(timing, stated)
    events = [(mark, label) for mark, label in labelled if mark.is_placed]
    placed = list(_placed(layout, events, gaps, timing, path))
    if not placed and no_trial:
        return FoundTrials((), left_out=no_trial)
    if not placed:
        found = list(dict.fromkeys(labels.value(mark) for mark, _ in events))
        shown = ", ".join(map(repr, found[:_MOST_SHOWN])) + (" …" if len(found) > _MOST_SHOWN else "")
        raise CorpusError(
            f"There is no trial in '{path}': expected {expected_values(layout.labels.classes)}, found "
            f"{shown or 'no mark at all'}.",
            "labels.classes says which values stand for which class, trials.starts which marks start a trial.",
        )
    if len(placed) >= TRIALS_PER_RUN:
        raise CorpusError(
            f"'{path}' has too many trials: expected fewer than {TRIALS_PER_RUN}, found {len(placed)}.",
            "longer blocks (trials.block_s) make fewer.",
        )
    starting = {mark.description for mark, label in events if label is not None and _starts(layout, mark, label)}
    bad = [stretch for stretch in bad_stretches((*timing.annotations, *stated), rate) if stretch.why not in starting]
    first = recording.run * TRIALS_PER_RUN + 1
    numbered = [
        replace(span, trial=number, bad=tuple(each for each in bad if each.touches(span.start, span.stop)))
        for number, (span, _) in enumerate(placed, start=first)
    ]
    notes = tuple(_settling(path, marks, rate)) if isinstance(layout.trials, StatusTrials) else ()
    if _is_unended(layout, events):
        notes = (*notes, f"{path.name}: no mark ends the last trial, which goes to the end of the recording")
    if layout.trials.bad == "ignore":
        notes = (*notes, *_ignored(path, numbered))
        numbered = [replace(span, bad=()) for span in numbered]
    settled = [
        apply_gap_policy(span, own, layout.trials.at_gaps, rate, path, recording.file)
        for span, (_, own) in zip(numbered, placed, strict=True)
    ]
    return FoundTrials(
        tuple(_in_samples(span, timing) for span, _ in settled if span),
        tuple(Stretch(timing.sample(each.start), timing.sample(each.stop), each.why) for each in gaps),
        (*no_trial, *(left_out for _, left_out in settled if left_out)),
        notes,
    )


def _is_unended(layout: LayoutSpec, events: Sequence[tuple[Mark, int | None]]) -> bool:
    """Whether marks are to end trials, and none ends the last: the recording may have broken off."""
    trials = layout.trials
    ends = getattr(trials, "ends", ())
    if not ends or isinstance(trials, FileTrials) or trials.seconds is not None or trials.length == "stated":
        return False
    final = max(
        index for index, (mark, label) in enumerate(events) if label is not None and _starts(layout, mark, label)
    )
    return not any(is_same(mark.description, end) for mark, _ in events[final + 1 :] for end in ends)


def _placed(
    layout: LayoutSpec,
    events: Sequence[tuple[Mark, int | None]],
    gaps: Sequence[Stretch],
    timing: Timing,
    path: Path,
) -> Iterator[tuple[TrialSpan, list[Stretch]]]:
    """Trials, or the blocks of them, in ticks, each with the gaps as they are to it; they are numbered later."""
    rate = timing.rate
    # recordings are filled up to a whole block at their end
    last = min([timing.stop, *(gap.start for gap in gaps if gap.stop >= timing.stop > gap.start > 0)])
    before = 0
    for index, (mark, label) in enumerate(events):
        if label is None or not _starts(layout, mark, label):
            continue
        end_s = _end(layout, events, index, last / rate, path)
        start, stop = round(mark.onset_s * rate), round(end_s * rate)
        _check_span(start, stop, timing.stop, before, rate, path)
        # rounding may put neighbours, or the end, one sample too far
        start, stop = max(start, before), min(stop, timing.stop)
        own = _own_gaps(layout, gaps, start, stop)
        before = min([stop, *(gap.start for gap in own if gap.touches(start, stop))])
        for block in _blocks(layout, label, start + round(layout.trials.skip_s * rate), stop, rate, path):
            yield block, own


def _own_gaps(layout: LayoutSpec, gaps: Sequence[Stretch], start: int, stop: int) -> list[Stretch]:
    """The gaps as they are to one trial.

    Of a trial of a stated length nobody knows what is left of it behind a joint: how much was taken out, and thereby
    where it ends, the joint does not say.
    """
    trials = layout.trials
    if isinstance(trials, FileTrials) or (trials.seconds is None and trials.length == "until_next"):
        return list(gaps)
    return [replace(gap, stop=stop) if gap.start == gap.stop and gap.touches(start, stop) else gap for gap in gaps]


def _is_outside(mark: Mark, timing: Timing) -> bool:
    return mark.onset_s * timing.rate < -1 or mark.onset_s * timing.rate > timing.stop + 1


def bad_windows(file: str, spans: Sequence[TrialSpan], rate: float) -> Iterator[LeftOut]:
    """What the stretches that are marked as bad leave out; how many windows that are, their length decides."""
    for why in dict.fromkeys(each.why for span in spans for each in span.bad):
        trials = [span for span in spans if any(each.why == why for each in span.bad)]
        inside = sum(
            min(each.stop, span.stop) - max(each.start, span.start)
            for span in trials
            for each in span.bad
            if each.why == why
        )
        numbers = ", ".join(str(span.trial) for span in trials[:_MOST_SHOWN]) + (
            " …" if len(trials) > _MOST_SHOWN else ""
        )
        what = f"each window that overlaps one of its stretches ({inside / rate:.3f} s of trial {numbers})"
        yield LeftOut(where=file, what=what, why=why)


def _is_aside(layout: LayoutSpec, mark: Mark, labels: Labels) -> bool:
    """Whether a mark speaks of the signal alone."""
    if not (is_gap(mark) or (is_bad(mark) and layout.trials.bad == "drop_windows")):
        return False
    named = (*(getattr(layout.trials, "starts", None) or ()), *getattr(layout.trials, "ends", ()))
    by_description = layout.labels.kind == "description" and labels.of(mark) is not None
    return not by_description and not any(is_same(mark.description, one) for one in named)


def _in_samples(span: TrialSpan, timing: Timing) -> TrialSpan:
    """A trial without a gap, whose samples follow each other as its ticks do."""
    return span.moved(span.start - timing.sample(span.start))


def _outside(file: str, marks: Sequence[Mark]) -> Iterator[LeftOut]:
    if marks:
        shown = ", ".join(f"{mark.description or 'a row'!r} at {mark.onset_s:.3f} s" for mark in marks[:_MOST_SHOWN])
        what = f"{len(marks)} marks ({shown}{' …' if len(marks) > _MOST_SHOWN else ''})"
        yield LeftOut(where=file, what=what, why="outside of the recording; no trial starts there")


def _settling(path: Path, codes: Sequence[Mark], rate: float) -> Iterator[str]:
    quick = [code for code, other in pairwise(codes) if round((other.onset_s - code.onset_s) * rate) <= 1]
    if quick:
        yield (
            f"{path.name}: {len(quick)} codes are followed by another after one sample, the first of them "
            f"({quick[0].description}) at {quick[0].onset_s:.3f} s: bits may have changed one after the other"
        )


def _ignored(path: Path, spans: Sequence[TrialSpan]) -> Iterator[str]:
    trials = Counter(why for span in spans for why in {each.why for each in span.bad})
    if trials:
        shown = ", ".join(f"{why} in {count} trials" for why, count in trials.items())
        yield f"{path.name}: marked as bad and taken all the same: {shown}"


def _starts(layout: LayoutSpec, mark: Mark, label: int | None) -> bool:
    starts = getattr(layout.trials, "starts", None)
    return label is not None if starts is None else any(is_same(mark.description, one) for one in starts)


def _end(layout: LayoutSpec, events: Sequence[tuple[Mark, int | None]], index: int, end_s: float, path: Path) -> float:
    """Where the trial that a mark starts is over, in s."""
    trials, (mark, _) = layout.trials, events[index]
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
    for other, label in events[index + 1 :]:
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
    """The trial, or the blocks that it is cut into."""
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
