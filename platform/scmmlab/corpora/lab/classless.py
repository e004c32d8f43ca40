"""What of a recording's marks comes to no trial, and why: values of no class, rows without an onset, other marks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from scmmlab.corpora.lab.gaps import is_bad
from scmmlab.corpora.lab.labels import Labels, expected_values
from scmmlab.corpora.lab.layout import DescriptionLabels, FileTrials, LayoutSpec
from scmmlab.corpora.lab.marks import Mark
from scmmlab.corpora.lab.recordings import LabRecording
from scmmlab.corpora.lab.tables import is_same
from scmmlab.corpora.left_out import LeftOut
from scmmlab.corpora.unused import count_of

START_NO_TRIAL = "start no trial"
"""Why marks are left out that are no trials of another class, as far as anybody can tell."""

_MOST_NAMED, _LONGEST = 50, 40


def may_start(layout: LayoutSpec, mark: Mark) -> bool:
    """Whether a mark starts a trial, if it has a class."""
    starts = getattr(layout.trials, "starts", None)
    return starts is None or any(is_same(mark.description, one) for one in starts)


def without_class(
    layout: LayoutSpec,
    recording: LabRecording,
    labels: Labels,
    labelled: Sequence[tuple[Mark, int | None]],
    seconds: float,
) -> tuple[LeftOut, ...]:
    """What is left out of a recording.

    Parameters
    ----------
    layout : LayoutSpec
        What is a trial.
    recording : LabRecording
        Which recording.
    labels : Labels
        Its classes.
    labelled : sequence
        Its marks, each with its label.
    seconds : float
        Its length.

    Raises
    ------
    CorpusError
        If something is of no class and the layout refuses that.
    """
    others = [mark for mark, label in labelled if label is None]
    # where the class alone says what a trial is, what has none may be anything
    are_trials = not isinstance(layout.labels, DescriptionLabels) or getattr(layout.trials, "starts", None) is not None
    others = [mark for mark in others if (may_start(layout, mark) if are_trials else _is_event(layout, mark))]
    if layout.labels.others == "refuse":
        if others:
            raise labels.refusal(others[0])
        if not any(label is not None for _, label in labelled):
            return ()
    unplaced = sum(label is not None and not mark.is_placed for mark, label in labelled)
    left_out = []
    if unplaced:
        what = count_of(unplaced, "trial")
        left_out.append(LeftOut(where=recording.file, what=what, why="states no onset", trials=unplaced))
    if are_trials:
        left_out += _trials(layout, recording, labels, others, seconds)
    elif others and any(label is not None for _, label in labelled):
        left_out.append(LeftOut(where=recording.file, what=f"marks {_names(others)}", why=START_NO_TRIAL))
    if not left_out and not any(label is not None for _, label in labelled):
        found = f"only {_counts(others)}" if others else "nor anything else"
        why = f"has no mark that stands for {expected_values(layout.labels.classes)}, {found}"
        left_out.append(LeftOut(where=recording.file, what="the recording", why=why))
    return tuple(left_out)


def _trials(
    layout: LayoutSpec, recording: LabRecording, labels: Labels, others: Sequence[Mark], seconds: float
) -> Iterator[LeftOut]:
    block_s = layout.trials.block_s
    blocks = max(1, int(seconds // block_s)) if block_s and isinstance(layout.trials, FileTrials) else 1
    for (value, why), count in Counter((labels.value(mark), labels.why_not(mark)) for mark in others).items():
        what = count_of(count * blocks, "trial") + (f" of {value[:_LONGEST]!r}" if value else " without a value")
        yield LeftOut(where=recording.file, what=what, why=why, trials=count * blocks)


def _is_event(layout: LayoutSpec, mark: Mark) -> bool:
    ends = getattr(layout.trials, "ends", ())
    return not is_bad(mark) and not any(is_same(mark.description, one) for one in ends)


def _counts(marks: Sequence[Mark]) -> str:
    counts = Counter(mark.description[:_LONGEST] for mark in marks)
    more = " …" if len(counts) > _MOST_NAMED else ""
    return ", ".join(f"{count} of {name!r}" for name, count in list(counts.items())[:_MOST_NAMED]) + more


def _names(marks: Sequence[Mark]) -> str:
    names = [repr(name[:_LONGEST]) for name in dict.fromkeys(mark.description for mark in marks)]
    return ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")
