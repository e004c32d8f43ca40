"""From one raw file to the rows of a feature table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora import FeatureRecording, LeftOut, Reader, Recording, SignalMarks, TrialFeatures, TrialSpan
from scmmlab.corpora.unused import count_of
from scmmlab.errors import CorpusError
from scmmlab.features import FeatureSpec, extract_features, kept_windows
from scmmlab.tables.file_rows import FileRows


@dataclass(frozen=True)
class FileExtraction:
    """Reads one raw file and computes its features. It can be sent to another process, and remembers nothing."""

    reader: Reader
    root: Path
    features: FeatureSpec

    def __call__(self, file: str) -> FileRows:
        """The rows of one of the reader's files.

        Raises
        ------
        CorpusError
            If the file is not what it should be.
        """
        parts = (part for read in self.reader.read(self.root, file) for part in self._with_features(file, read))
        return rows_of(file, parts, len(self.reader.classes))

    def _with_features(
        self, file: str, recording: Recording | FeatureRecording | LeftOut
    ) -> Iterator[FeatureRecording | LeftOut]:
        if not isinstance(recording, Recording):
            yield recording
            return
        trials: list[TrialSpan] = []
        kept: list[NDArray[np.bool_]] = []
        try:
            for trial in recording.trials:
                bad = [(each.start, each.stop) for each in trial.bad]
                kept_W = kept_windows((trial.start, trial.stop), bad, recording.sampling_rate, self.features)
                left_out = _left_out(file, trial, kept_W)
                if left_out:
                    yield left_out
                if not (left_out and left_out.trials):
                    trials.append(trial)
                    kept.append(kept_W)
            spans = [(trial.start, trial.stop) for trial in trials]
            features = extract_features(recording.signal, recording.sampling_rate, spans, self.features, kept)
        except CorpusError as error:
            raise CorpusError(f"{recording.source}: {error.message}", error.hint) from error
        if not trials:
            return
        yield FeatureRecording(
            source=recording.source,
            subject=recording.subject,
            session=recording.session,
            channels=recording.channels,
            bands=self.features.bands,
            window_s=self.features.window_s,
            trials=[
                TrialFeatures(
                    trial.trial,
                    trial.label,
                    values,
                    np.flatnonzero(kept_W),
                    SignalMarks.of_signal(
                        recording.signal[:, trial.start : trial.stop], recording.sampling_rate, recording.channels
                    ),
                )
                for trial, values, kept_W in zip(trials, features, kept, strict=True)
            ],
            notes=recording.notes,
        )


def _left_out(file: str, trial: TrialSpan, kept_W: NDArray[np.bool_]) -> LeftOut | None:
    """What of a trial is no window of the table; a trial that was never cut and is too short is an error instead."""
    if trial.cut and not len(kept_W):
        return LeftOut(
            where=file, what=f"the rest of trial {trial.trial}", why=f"no whole window, {trial.cut}", trials=1
        )
    if kept_W.all():
        return None
    why = ", ".join(dict.fromkeys(each.why for each in trial.bad))
    if not kept_W.any():
        return LeftOut(where=file, what=f"trial {trial.trial}", why=f"{why} in each window", trials=1)
    lost = count_of(int(np.count_nonzero(~kept_W)), "window")
    return LeftOut(where=file, what=f"{lost} of trial {trial.trial}", why=why)


def rows_of(file: str, parts: Iterator[FeatureRecording | LeftOut], classes: int) -> FileRows:
    """The rows of the recordings of one file, and what of it is left out; no rows where that is all of it.

    Raises
    ------
    CorpusError
        If a label is outside the classes, a feature is not finite, or the recordings differ in channels, bands or
        window.
    """
    first: FeatureRecording | None = None
    columns: list[tuple[NDArray[np.int64], ...]] = []
    features: list[NDArray[np.float32]] = []
    notes: list[str] = []
    left_out: list[LeftOut] = []
    signals: dict[str, str] = {}
    for recording in parts:
        if isinstance(recording, LeftOut):
            left_out.append(recording)
            continue
        if first is None:
            first = recording
            _check_names(recording)
        check_alike(recording.source, recording, first)
        notes += recording.notes
        for trial in recording.trials:
            _check_trial(recording, trial, classes)
            keys = (recording.subject, recording.session, trial.trial, trial.label)
            windows = np.arange(len(trial.features)) if trial.windows is None else trial.windows
            columns.append((*(np.full(len(windows), key) for key in keys), windows))
            features.append(trial.features)
            marks = trial.marks or SignalMarks.of_features(trial.features)
            signals[f"{recording.subject}/{recording.session}/{trial.trial}"] = str(marks)
    if first is None and left_out:
        return FileRows.empty(file, tuple(left_out))
    if first is None or not features:
        raise CorpusError(f"There is no trial in {file}: expected at least one.")
    subject, session, trial_number, label, window = (np.concatenate(column) for column in zip(*columns, strict=True))
    return FileRows(
        file=file,
        channels=first.channels,
        bands=first.bands,
        window_s=first.window_s,
        subject=subject.astype(np.int32),
        session=session.astype(np.int32),
        trial=trial_number.astype(np.int32),
        window=window.astype(np.int32),
        label=label,
        features=np.concatenate(features),
        notes=tuple(notes),
        left_out=tuple(left_out),
        signals=signals,
    )


def check_alike(source: str, found: FeatureRecording | FileRows, expected: FeatureRecording | FileRows) -> None:
    """Raise a `CorpusError` unless both have the same channels, bands and window, in the same order."""
    for what, of in (
        ("channels", lambda part: list(part.channels)),
        ("bands", lambda part: list(part.bands.items())),
        ("window", lambda part: part.window_s),
    ):
        if of(found) != of(expected):
            raise CorpusError(
                f"{source} is unlike the files before it: expected {what} {of(expected)}, found {of(found)}."
            )


def _check_names(recording: FeatureRecording) -> None:
    if len({name.lower() for name in recording.channels}) < len(recording.channels):
        raise CorpusError(
            f"{recording.source} has channels that differ in capitals alone, or not at all: expected others, "
            f"found {', '.join(recording.channels)}."
        )


def _check_trial(recording: FeatureRecording, trial: TrialFeatures, classes: int) -> None:
    where = f"trial {trial.trial} of subject {recording.subject}, session {recording.session}, in {recording.source}"
    if not 0 <= trial.label < classes:
        raise CorpusError(
            f"A label is outside the classes: expected 0 to {classes - 1}, found {trial.label} at {where}."
        )
    shape: Sequence[int] = (len(trial.features), len(recording.channels), len(recording.bands))
    if trial.features.shape != shape or not shape[0]:
        raise CorpusError(
            f"Features have the wrong shape: expected windows x {shape[1]} channels x {shape[2]} bands, found "
            f"{trial.features.shape} at {where}."
        )
    wrong = np.argwhere(~np.isfinite(trial.features))
    if len(wrong):
        window, channel, band = wrong[0]
        raise CorpusError(
            f"A feature is not finite: expected finite numbers, found {trial.features[window, channel, band]} in "
            f"channel {recording.channels[channel]}, band {list(recording.bands)[band]}, window {window} of {where}."
        )
