"""Any recording that MNE reads, or a BIDS folder, as a layout file describes it: a lab's own corpus without code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from scmmlab.corpora.finding import Finding, Whose
from scmmlab.corpora.lab.companions import find_companions
from scmmlab.corpora.lab.formats import open_recording
from scmmlab.corpora.lab.layout import LayoutSpec
from scmmlab.corpora.lab.recordings import LabRecording, find_recording, find_recordings, not_recordings, subject_names
from scmmlab.corpora.lab.signal import SignalSource, choose_channels
from scmmlab.corpora.lab.trials import find_trials
from scmmlab.corpora.left_out import LeftOut
from scmmlab.corpora.reader import Reader
from scmmlab.corpora.recording import Recording, TrialSpan
from scmmlab.corpora.signal_marks import SignalMarks, same_signals
from scmmlab.errors import CorpusError

MARGIN_S = 4.0
"""What is read before and after each trial, so that the ends of what is filtered, which carry an artefact of a second
or so, lie outside of it."""


class MneReader(Reader):
    """Each trial is a recording of its own, read with a margin, so that hour-long files are never in memory whole."""

    name: ClassVar[str] = "mne"
    corpus: ClassVar[str] = "mne"
    summary: ClassVar[str] = "a lab's own recordings: EDF, BDF, BrainVision, FIF, EEGLAB, CNT, or a BIDS folder"
    needs: ClassVar[str] = "recordings, and with --layout a file that says where subjects, trials and labels come from"

    version: ClassVar[int] = 2
    """2: what is left out is told apart from what was never there, gaps end trials, trigger codes are rounded."""

    layout: LayoutSpec
    """Where subjects, sessions, trials and labels come from (YAML, docs/corpora.md)."""

    @property
    def corpus_name(self) -> str:
        """As the layout says."""
        return self.layout.name

    @property
    def classes(self) -> tuple[str, ...]:
        """As the layout says, in its order."""
        return tuple(each.name for each in self.layout.labels.classes)

    def subject_names(self, root: Path) -> dict[int, str]:
        """As the names of the recordings say."""
        return subject_names(self.layout.recordings, root)

    def files(self, root: Path) -> tuple[str, ...]:
        """The recordings that the layout's pattern or BIDS finds."""
        return tuple(recording.file for recording in find_recordings(self.layout.recordings, root))

    def companions(self, root: Path) -> tuple[str, ...]:
        """Signals, markers, splits and tables beside the recordings."""
        return find_companions(self.layout, root)

    def left_out(self, root: Path) -> tuple[LeftOut, ...]:
        """Files whose names are like those of recordings and that are none."""
        return not_recordings(self.layout.recordings, root)

    def read(self, root: Path, file: str) -> Iterator[Recording]:
        """A recording a trial, in time order."""
        recording, raw = self._open(root, file)
        spans = find_trials(self.layout, root, recording, raw)
        source = choose_channels(self.layout.signal, raw, root / file)
        notes = _bad_channels(source)
        for span in spans:
            yield _read_trial(source, recording, span, notes)
            notes = ()

    def check(self, root: Path) -> Iterator[Finding]:
        """File by file, and what no recording says by itself: the same channels in each, a trial of each class."""
        try:
            files = self.files(root)
        except CorpusError as error:
            yield Finding.of_error(".", error)
            return
        yield Finding(True, ".", "files", self.needs, f"{len(files)} recordings")
        channels: Counter[str] = Counter()
        recordings_of: Counter[int] = Counter()
        facts: set[str] = set()
        first_trials: dict[str, SignalMarks] = {}
        for file in files:
            examined = self._examine(root, file)
            yield from examined.findings
            if examined.marks is not None:
                first_trials[file] = examined.marks
            facts.update(finding.fact for finding in examined.findings)
            if examined.channels:
                channels[" ".join(examined.channels)] += 1
            recordings_of.update(set(examined.labels))
        try:
            self.companions(root)
        except CorpusError as error:
            finding = Finding.of_error(".", error)
            if finding.fact not in facts:
                yield finding
        for one, other in same_signals([*first_trials.values()], range(len(first_trials))):
            yield _same_signal([*first_trials][one], [*first_trials][other])
        if len(channels) > 1:
            found = "; ".join(f"in {count} recordings {names}" for names, count in channels.most_common())
            remedy = "name those that all have with signal.channels of the layout."
            yield Finding(False, ".", "same channels", "the same in each recording", found, remedy)
        for label, name in enumerate(self.classes) if recordings_of else ():
            found = f"trials in {recordings_of[label]} recordings"
            remedy = "labels.classes of the layout says which values stand for it."
            yield Finding(
                recordings_of[label] > 0, ".", f"class {name}", "a trial or more in some recording", found, remedy
            )
        yield from map(Finding.of_left_out, self.left_out(root))

    def check_file(self, root: Path, file: str) -> Iterator[Finding]:
        """Header, channels, trials and the unit of the first trial; the signal is not read whole."""
        yield from self._examine(root, file).findings

    def _examine(self, root: Path, file: str) -> _Examined:
        findings: list[Finding] = []
        channels: tuple[str, ...] = ()
        labels: list[int] = []
        marks: SignalMarks | None = None
        try:
            recording, raw = self._open(root, file)
            source = choose_channels(self.layout.signal, raw, root / file)
            channels = source.channels
            findings.append(Finding(True, file, "channels", "as the layout says", " ".join(channels)))
            spans = find_trials(self.layout, root, recording, raw)
            labels = [span.label for span in spans]
            trials = ", ".join(f"{name} {labels.count(label)}" for label, name in enumerate(self.classes))
            whose = Whose(
                recording.subject,
                recording.session,
                recording.run,
                recording.fields["subject"],
                recording.fields.get("session", str(recording.session)),
                {name: labels.count(label) for label, name in enumerate(self.classes)},
            )
            findings.append(Finding(True, file, "trials", "one or more", trials, whose=whose))
            first = _read_trial(source, recording, spans[0], ())
            (span,) = first.trials
            marks = SignalMarks.of_signal(first.signal[:, span.start : span.stop], first.sampling_rate, first.channels)
            findings.append(Finding(True, file, "first trial", "EEG in µV", f"{source.sampling_rate:g} Hz"))
        except CorpusError as error:
            findings.append(Finding.of_error(file, error))
        return _Examined(findings, channels, labels, marks)

    def _open(self, root: Path, file: str) -> tuple[LabRecording, Any]:
        recording = find_recording(self.layout.recordings, root, file)
        return recording, open_recording(root, file, bids=self.layout.recordings.bids is not None)


@dataclass(frozen=True)
class _Examined:
    """What an examination of one recording found: facts, its channels, the label of each trial, its signal."""

    findings: list[Finding]
    channels: tuple[str, ...]
    labels: list[int]
    marks: SignalMarks | None
    """Of the first trial."""


def _same_signal(file: str, other: str) -> Finding:
    return Finding(
        False,
        other,
        "signal",
        "that of no other recording",
        f"the first trial of '{file}', or a part of it",
        "one recording may be there in two formats or versions, or under two names; move one of the two elsewhere.",
    )


def _read_trial(source: SignalSource, recording: LabRecording, span: TrialSpan, notes: tuple[str, ...]) -> Recording:
    margin = round(MARGIN_S * source.sampling_rate)
    first, last = max(0, span.start - margin), min(source.raw.n_times, span.stop + margin)
    return Recording(
        source=f"{source.path} (trial {span.trial})",
        subject=recording.subject,
        session=recording.session,
        channels=source.channels,
        sampling_rate=source.sampling_rate,
        signal=source.read(first, last),
        trials=(TrialSpan(span.trial, span.label, span.start - first, span.stop - first),),
        notes=notes,
    )


def _bad_channels(source: SignalSource) -> tuple[str, ...]:
    names = [source.raw.ch_names[pick] for pick in source.picks]
    bad = [name for name in names if name in source.raw.info["bads"]]
    return (f"{source.path.name}: marked as bad and taken all the same: {', '.join(bad)}",) if bad else ()
