"""Any recording that MNE reads, or a BIDS folder, as a layout file describes it: a lab's own corpus without code."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

from pydantic import PrivateAttr

from scmmlab.corpora.amplitudes import LARGEST_FACTOR, factor_text, unlike_others
from scmmlab.corpora.finding import Finding, RecordingSummary
from scmmlab.corpora.lab.channel_names import check_channel_names
from scmmlab.corpora.lab.classless import START_NO_TRIAL
from scmmlab.corpora.lab.companions import find_companions
from scmmlab.corpora.lab.files import find_left_out
from scmmlab.corpora.lab.formats import open_recording
from scmmlab.corpora.lab.gaps import apply_gap_policy, constant_stretches, with_margins
from scmmlab.corpora.lab.layout import LayoutSpec
from scmmlab.corpora.lab.recordings import LabRecording, find_recording, find_recordings, not_recordings, subject_names
from scmmlab.corpora.lab.signal import SignalSource, open_signal
from scmmlab.corpora.lab.timing import read_timing
from scmmlab.corpora.lab.trials import FoundTrials, bad_windows, find_trials
from scmmlab.corpora.left_out import LeftOut
from scmmlab.corpora.reader import Reader
from scmmlab.corpora.recording import Recording, TrialSpan
from scmmlab.corpora.signal_marks import SignalMarks, same_signals
from scmmlab.errors import CorpusError

MARGIN_S = 4.0
"""What is read before and after each trial, so that the ends of what is filtered, which carry an artefact of a second
or so, lie outside of it."""
_LAG_S = 0.05


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

    # so that the folder is not listed again for each of its recordings
    _listed: dict[Path, dict[str, LabRecording]] = PrivateAttr(default_factory=dict)

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
        """The recordings that the layout's pattern or BIDS finds, once some have what it says of channels."""
        files = tuple(self._list(root))
        check_channel_names(self.layout, root, files)
        return files

    def companions(self, root: Path) -> tuple[str, ...]:
        """Signals, markers, splits and tables beside the recordings."""
        return find_companions(self.layout, root)

    def left_out(self, root: Path) -> tuple[LeftOut, ...]:
        """Recordings that the layout does not ask for, folders, and other files."""
        none = not_recordings(self.layout.recordings, root)
        known = {*self._list(root), *self.companions(root), *(each.where for each in none)}
        return (*none, *find_left_out(self.layout.recordings, root, known))

    def read(self, root: Path, file: str) -> Iterator[Recording | LeftOut]:
        """A recording a trial, in time order, and what of the file is left out."""
        listed = self._listed.get(root, {}).get(file)
        recording = listed or find_recording(self.layout.recordings, root, file)
        source, found = self._open(root, recording)
        if source is not None:
            notes = (*source.notes, *found.notes)
            for part in self._parts_without_gaps(source, recording, found):
                if isinstance(part, LeftOut):
                    yield part
                else:
                    yield _read_trial(source, recording, *part, notes)
                    notes = ()
            yield from source.left_out
        yield from found.left_out

    def check(self, root: Path) -> Iterator[Finding]:
        """File by file, and what no recording says by itself: the same channels in each, a trial of each class."""
        try:
            recordings = self._list(root)
        except CorpusError as error:
            yield Finding.of_error(".", error)
            return
        yield Finding(True, ".", "files", self.needs, f"{len(recordings)} recordings")
        try:
            check_channel_names(self.layout, root, tuple(recordings))
        except CorpusError as error:
            yield Finding.of_error(".", error)
        marks: dict[str, int] = {}
        channels: Counter[str] = Counter()
        recordings_of: Counter[int] = Counter()
        facts: set[str] = set()
        read = False
        left_out: dict[LeftOut, None] = {}
        levels: dict[str, float] = {}
        first_trials: dict[str, SignalMarks] = {}
        for file, recording in recordings.items():
            examined = self._examine(root, recording, marks)
            yield from examined.findings
            left_out.update(dict.fromkeys(examined.left_out))
            if level := median(examined.spreads.values()) if examined.spreads else 0.0:
                levels[file] = math.log(level)
            if examined.signal is not None:
                first_trials[file] = examined.signal
            facts.update(finding.fact for finding in examined.findings)
            read = read or all(finding.ok for finding in examined.findings)
            if examined.channels:
                channels[" ".join(examined.channels)] += 1
            recordings_of.update(set(examined.labels))
        for what, count in marks.items():
            yield Finding.of_left_out(LeftOut(where=".", what=f"{what} in {count} recordings", why=START_NO_TRIAL))
        try:
            yield from map(Finding.of_left_out, self.left_out(root))
        except CorpusError as error:
            finding = Finding.of_error(".", error)
            if finding.fact not in facts:
                yield finding
        for one, other in same_signals([*first_trials.values()], range(len(first_trials))):
            yield _same_signal([*first_trials][one], [*first_trials][other])
        for file, factor in unlike_others(levels):
            yield Finding(
                False,
                file,
                "amplitude like that of the other recordings",
                f"at most {LARGEST_FACTOR:g} times larger or smaller than their median",
                factor_text(factor),
                "correct the unit that it states, or leave it out.",
            )
        yield from map(Finding.of_left_out, left_out)
        if len(channels) > 1:
            found = "; ".join(f"in {count} recordings {names}" for names, count in channels.most_common())
            remedy = "name those that all have with signal.channels of the layout."
            yield Finding(False, ".", "same channels", "the same in each recording", found, remedy)
        # where no recording can be read, that is said of each of them
        for label, name in enumerate(self.classes) if read else ():
            found = f"trials in {recordings_of[label]} recordings"
            remedy = "labels.classes of the layout says which values stand for it."
            yield Finding(
                recordings_of[label] > 0, ".", f"class {name}", "a trial or more in some recording", found, remedy
            )

    def check_file(self, root: Path, file: str) -> Iterator[Finding]:
        """Header, channels, trials and the unit of the first; of the others one channel is read, for gaps."""
        recording = find_recording(self.layout.recordings, root, file)
        marks: dict[str, int] = {}
        yield from self._examine(root, recording, marks).findings
        yield from (Finding.of_left_out(LeftOut(where=file, what=what, why=START_NO_TRIAL)) for what in marks)

    def _list(self, root: Path) -> dict[str, LabRecording]:
        self._listed[root] = {each.file: each for each in find_recordings(self.layout.recordings, root)}
        return self._listed[root]

    def _examine(self, root: Path, recording: LabRecording, marks: dict[str, int]) -> _Examined:
        """What a recording is; marks that start no trial are counted, for they are the same in most recordings."""
        file = recording.file
        findings: list[Finding] = []
        channels: tuple[str, ...] = ()
        left_out: tuple[LeftOut, ...] = ()
        labels: list[int] = []
        spreads: dict[str, float] = {}
        signal: SignalMarks | None = None
        try:
            source, found = self._open(root, recording)
            parts = list(self._parts_without_gaps(source, recording, found)) if source else []
            whole = [part for part in parts if not isinstance(part, LeftOut)]
            labels = [span.label for span, _, _ in whole]
            trials = ", ".join(f"{name} {labels.count(label)}" for label, name in enumerate(self.classes))
            summary = RecordingSummary(
                recording.subject,
                recording.session,
                recording.run,
                recording.fields["subject"],
                recording.fields.get("session", str(recording.session)),
                {name: labels.count(label) for label, name in enumerate(self.classes)},
            )
            findings.append(Finding(True, file, "trials", "those that have a class", trials, summary=summary))
            of_trials = [*found.left_out, *(part for part in parts if isinstance(part, LeftOut))]
            if source is not None:
                channels, left_out = source.channels, source.left_out
                findings.append(Finding(True, file, "channels", "as the layout says", " ".join(channels)))
                notes = (*source.notes, *found.notes)
                findings += (Finding(True, file, "note", "nothing of note", note) for note in notes)
                of_trials += bad_windows(file, [span for span, _, _ in whole], source.sampling_rate)
            for each in of_trials:
                if each.why == START_NO_TRIAL:
                    marks[each.what] = marks.get(each.what, 0) + 1
                else:
                    findings.append(Finding.of_left_out(each))
            for one in whole[:1]:
                assert source is not None, "whole trials have a signal"
                first = _read_trial(source, recording, *one, ())
                findings.append(Finding(True, file, "first trial", "EEG in µV", f"{source.sampling_rate:g} Hz"))
                (span,) = first.trials
                trial_CT = first.signal[:, span.start : span.stop]
                signal = SignalMarks.of_signal(trial_CT, first.sampling_rate, first.channels)
                spreads = _spreads(first)
                findings += _unlike_channels(file, spreads)
        except CorpusError as error:
            findings.append(Finding.of_error(file, error))
        return _Examined(findings, channels, labels, left_out, spreads, signal)

    def _open(self, root: Path, recording: LabRecording) -> tuple[SignalSource | None, FoundTrials]:
        """A recording and its trials; the channels of one of which nothing is taken do not matter."""
        try:
            source = open_signal(self.layout, root, recording.file)
        except CorpusError:
            rate = self.layout.signal.sampling_rate
            raw = open_recording(root, recording.file, self.layout.recordings, sampling_rate=rate)
            found = self._trials(root, recording, raw)
            if found.spans:
                raise
            return None, found
        found = self._trials(root, recording, source.raw)
        return source if found.spans else None, found

    def _trials(self, root: Path, recording: LabRecording, raw: Any) -> FoundTrials:
        timing = read_timing(root, recording, raw, self.layout.recordings)
        return find_trials(self.layout, root, recording, raw, timing)

    def _parts_without_gaps(
        self, source: SignalSource, recording: LabRecording, found: FoundTrials
    ) -> Iterator[tuple[TrialSpan, int, int] | LeftOut]:
        """The trials, or parts of them, that are signal throughout, each with the samples that filters may see."""
        rate, samples, margin = source.sampling_rate, source.raw.n_times, round(MARGIN_S * source.sampling_rate)
        for each in found.spans:
            span: TrialSpan | None = each
            first, last = with_margins(each, found.gaps, margin, samples)
            constant = constant_stretches(source.raw, source.picks, first, last, source.path)
            if constant:
                at_gaps = self.layout.trials.at_gaps
                span, left_out = apply_gap_policy(each, constant, at_gaps, rate, source.path, recording.file)
                if left_out:
                    yield left_out
            if span:
                yield span, *with_margins(span, (*found.gaps, *constant), margin, samples)


@dataclass(frozen=True)
class _Examined:
    """What an examination of one recording found.

    Parameters
    ----------
    findings : list of Finding
        Facts.
    channels : tuple of str
        Those that are taken.
    labels : list of int
        Of its trials.
    left_out : tuple of LeftOut
        Channels that are no EEG.
    spreads : dict of str to float
        The amplitude of each channel in the first trial.
    signal : SignalMarks | None
        What the first trial is recognised by.
    """

    findings: list[Finding]
    channels: tuple[str, ...]
    labels: list[int]
    left_out: tuple[LeftOut, ...]
    spreads: dict[str, float]
    signal: SignalMarks | None


def _same_signal(file: str, other: str) -> Finding:
    return Finding(
        False,
        other,
        "signal",
        "that of no other recording",
        f"the first trial of '{file}', or a part of it",
        "one recording may be there in two formats or versions, or under two names; move one of the two elsewhere.",
    )


def _spreads(recording: Recording) -> dict[str, float]:
    """How much each channel changes within 50 ms: a measure of amplitude in which drifts of electrodes hardly count."""
    lag = max(1, round(_LAG_S * recording.sampling_rate))
    changes_CT = recording.signal[:, lag:] - recording.signal[:, :-lag]
    return dict(zip(recording.channels, changes_CT.std(axis=1).tolist(), strict=True))


def _unlike_channels(file: str, spreads: dict[str, float]) -> Iterator[Finding]:
    for name, factor in unlike_others({name: math.log(spread) for name, spread in spreads.items() if spread}):
        yield Finding(
            False,
            file,
            f"amplitude of channel {name} like that of the others",
            f"at most {LARGEST_FACTOR:g} times larger or smaller than their median",
            factor_text(factor),
            "correct the unit that the recording states for it, or leave it out with signal.drop if it is a bad one.",
        )


def _read_trial(
    source: SignalSource, recording: LabRecording, span: TrialSpan, first: int, last: int, notes: tuple[str, ...]
) -> Recording:
    return Recording(
        source=f"{source.path} (trial {span.trial})",
        subject=recording.subject,
        session=recording.session,
        channels=source.channels,
        sampling_rate=source.sampling_rate,
        signal=source.read(first, last),
        trials=(span.moved(first),),
        notes=notes,
    )
