"""Any recording that MNE reads, or a BIDS folder, as a layout file describes it: a lab's own corpus without code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import PrivateAttr

from scmmlab.corpora.finding import Finding
from scmmlab.corpora.lab.classless import START_NO_TRIAL
from scmmlab.corpora.lab.companions import find_companions
from scmmlab.corpora.lab.files import find_left_out
from scmmlab.corpora.lab.formats import open_recording
from scmmlab.corpora.lab.layout import LayoutSpec
from scmmlab.corpora.lab.recordings import LabRecording, find_recording, find_recordings, subject_names
from scmmlab.corpora.lab.signal import SignalSource, choose_channels
from scmmlab.corpora.lab.trials import find_trials
from scmmlab.corpora.left_out import LeftOut
from scmmlab.corpora.reader import Reader
from scmmlab.corpora.recording import Recording, TrialSpan
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

    needs_every_class: ClassVar[bool] = True

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
        """The recordings that the layout's pattern or BIDS finds."""
        recordings = find_recordings(self.layout.recordings, root)
        self._listed[root] = {recording.file: recording for recording in recordings}
        return tuple(self._listed[root])

    def companions(self, root: Path) -> tuple[str, ...]:
        """Signals, markers, splits and tables beside the recordings."""
        return find_companions(self.layout, root)

    def left_out(self, root: Path) -> tuple[LeftOut, ...]:
        """Recordings that the layout does not ask for, folders, and other files."""
        return find_left_out(self.layout.recordings, root, {*self.files(root), *self.companions(root)})

    def read(self, root: Path, file: str) -> Iterator[Recording | LeftOut]:
        """A recording a trial, in time order, and what of the file is left out."""
        listed = self._listed.get(root, {}).get(file)
        recording = listed or find_recording(self.layout.recordings, root, file)
        raw = self._open(root, recording)
        found = find_trials(self.layout, root, recording, raw)
        # the channels of a recording of which nothing is taken do not matter
        if found.spans:
            source = choose_channels(self.layout.signal, raw, root / file)
            notes = _bad_channels(source)
            for span in found.spans:
                yield _read_trial(source, recording, span, notes)
                notes = ()
        yield from found.left_out

    def check(self, root: Path) -> Iterator[Finding]:
        """File by file, and what no recording says by itself: the same channels in each, a trial of each class."""
        try:
            recordings = find_recordings(self.layout.recordings, root)
        except CorpusError as error:
            yield Finding.of_error(".", error)
            return
        yield Finding(True, ".", "files", self.needs, f"{len(recordings)} recordings")
        marks: dict[str, int] = {}
        channels: Counter[str] = Counter()
        recordings_of: Counter[int] = Counter()
        facts: set[str] = set()
        read = False
        for recording in recordings:
            examined = self._examine(root, recording, marks)
            yield from examined.findings
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
        """Header, channels, trials and the unit of the first trial; the signal is not read whole."""
        recording = find_recording(self.layout.recordings, root, file)
        marks: dict[str, int] = {}
        yield from self._examine(root, recording, marks).findings
        yield from (Finding.of_left_out(LeftOut(where=file, what=what, why=START_NO_TRIAL)) for what in marks)

    def _examine(self, root: Path, recording: LabRecording, marks: dict[str, int]) -> _Examined:
        """What a recording is; marks that start no trial are counted, for they are the same in most recordings."""
        file = recording.file
        findings: list[Finding] = []
        channels: tuple[str, ...] = ()
        labels: list[int] = []
        try:
            raw = self._open(root, recording)
            found = find_trials(self.layout, root, recording, raw)
            labels = [span.label for span in found.spans]
            trials = ", ".join(f"{name} {labels.count(label)}" for label, name in enumerate(self.classes))
            findings.append(Finding(True, file, "trials", "those that have a class", trials))
            for each in found.left_out:
                if each.why == START_NO_TRIAL:
                    marks[each.what] = marks.get(each.what, 0) + 1
                else:
                    findings.append(Finding.of_left_out(each))
            if found.spans:
                source = choose_channels(self.layout.signal, raw, root / file)
                channels = source.channels
                findings.append(Finding(True, file, "channels", "as the layout says", " ".join(channels)))
                _read_trial(source, recording, found.spans[0], ())
                findings.append(Finding(True, file, "first trial", "EEG in µV", f"{source.sampling_rate:g} Hz"))
        except CorpusError as error:
            findings.append(Finding.of_error(file, error))
        return _Examined(findings, channels, labels)

    def _open(self, root: Path, recording: LabRecording) -> Any:
        return open_recording(root, recording.file, bids=self.layout.recordings.bids is not None)


@dataclass(frozen=True)
class _Examined:
    """What an examination of one recording found: facts, its channels, the label of each trial."""

    findings: list[Finding]
    channels: tuple[str, ...]
    labels: list[int]


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
