"""DEAP: music videos, 32 subjects, 32 EEG channels, in its two preprocessed releases (Python, Matlab) or raw (BDF)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from scmmlab.corpora.deap_arrays import read_arrays
from scmmlab.corpora.deap_facts import (
    BASELINE_S,
    CHANNELS,
    ENDINGS,
    FILE_PATTERN,
    FOLDERS,
    RAW_SAMPLING_RATE,
    SAMPLING_RATE,
    SHAPE,
    SUBJECTS,
    VIDEO,
    VIDEOS,
    Release,
    Source,
)
from scmmlab.corpora.deap_ratings import FILE as RATINGS_FILE
from scmmlab.corpora.deap_ratings import Rating, find_ratings, read_ratings
from scmmlab.corpora.deap_raw import RawRecording, shown_codes
from scmmlab.corpora.finding import Finding, subjects_finding
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import Reader, corpus_folder
from scmmlab.corpora.recording import Recording, TrialSpan
from scmmlab.errors import CorpusError

SCHEMES = {
    "valence": ("low valence", "high valence"),
    "arousal": ("low arousal", "high arousal"),
    "quadrants": (
        "low valence, low arousal",
        "low valence, high arousal",
        "high valence, low arousal",
        "high valence, high arousal",
    ),
}

_RATING_TOLERANCE = 0.011
"""The ratings' file and the data round differently, to a hundredth at most."""
_LEAST_AGREEMENT = 0.7
"""Rank correlation of the times between videos in a raw recording and in the ratings. Of one subject they are nearly
the same; 39 pairs that have nothing to do with each other reach it less than once in a million times."""
_PREPROCESSED_NOTE = (
    "preprocessed by DEAP's authors: eye movements removed, 4-45 Hz, common average; delta is a filter's skirt, and "
    "gamma ends at 45 Hz"
)
_RAW_NOTE = "raw recordings: eye movements and mains (50 Hz, at gamma's upper edge) are not removed"


class DeapReader(Reader):
    """Reads `s01.dat` to `s32.dat`, `.mat` or `.bdf`; a trial's number is its place in time.

    The preprocessed files have the trials in the order of the videos, the raw ones in that of time. Each trial is a
    recording of its own, so that no filter runs across the border of two, and the baseline before it takes up the
    filter's start.
    """

    name: ClassVar[str] = "deap"
    corpus: ClassVar[str] = "deap"
    summary: ClassVar[str] = (
        "music videos rated for valence and arousal, 32 subjects, 32 channels; preprocessed (128 Hz, 4-45 Hz) or raw"
    )
    needs: ClassVar[str] = (
        f"{FOLDERS['python']}/s01.dat to s32.dat (or, with release=matlab, {FOLDERS['matlab']}/s01.mat to s32.mat, or, "
        f"with source=raw, {FOLDERS['raw']}/s01.bdf to s32.bdf) and metadata_csv/{RATINGS_FILE}"
    )
    version: ClassVar[int] = 2
    attribution: ClassVar[str | None] = (
        "Koelstra S, Mühl C, Soleymani M, et al. DEAP: A Database for Emotion Analysis Using Physiological Signals. "
        "IEEE Transactions on Affective Computing 2012, 3(1), 18-31."
    )
    licence: ClassVar[str | None] = "End-user licence agreement; the corpus may not be passed on"

    source: Literal["preprocessed", "raw"] = "preprocessed"
    """What is read: a preprocessed release, or the recordings as they were made."""
    release: Release = "python"
    """Which of the two preprocessed releases is read; they hold the same arrays."""
    reference: Literal["average", "none"] = "average"
    """Of raw recordings: the mean of the 32 channels subtracted, or nothing. A BioSemi amplifier records without a
    reference, and what is common to all channels is then larger than EEG. Preprocessed ones have the average."""
    labels: Literal["valence", "arousal", "quadrants"] = "valence"
    """What is told apart: low and high valence, low and high arousal, or the four quadrants of both."""
    threshold: float = Field(5.0, gt=1, le=9)
    """Ratings from here on, on the scale from 1 to 9, are high."""
    gap: float = Field(0.0, ge=0, lt=8)
    """Ratings that are not high but above threshold minus this are left out; at 0 all that are not high are low."""
    baseline: Literal["skip", "subtract"] = "skip"
    """The 3 s before a video: left out, or their mean second subtracted from each second of the signal and left out."""
    time_order: Literal["checked", "trial", "start_time", "file"] = "checked"
    """Where the trials' order in time comes from: the ratings' columns Trial and Start_time, which must agree (in a raw
    recording with the pauses between videos as well), either of them, or (preprocessed, without a file of ratings) the
    order of the videos, which is no order in time."""

    @model_validator(mode="after")
    def _check(self) -> DeapReader:
        if self.source == "raw" and self.time_order == "file":
            raise ValueError("time_order must be checked, trial or start_time where source is raw, got 'file'")
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """As `labels` says."""
        return SCHEMES[self.labels]

    def subject_name(self, subject: int) -> str:
        """`s07`, as in the file names."""
        return f"s{subject:02d}"

    def files(self, root: Path) -> tuple[str, ...]:
        """The file of each subject that is there."""
        corpus_folder(root)
        inside = FOLDERS[self._source] if (root / FOLDERS[self._source]).is_dir() else ""
        ending = ENDINGS[self._source]
        folder = open_below(root, inside)
        names = sorted(
            path.name for path in folder.iterdir() if path.suffix.lower() == ending and not path.name.startswith(".")
        )
        if not names:
            raise CorpusError(f"There are no recordings in '{root}': expected {self.needs}, found no {ending} file.")
        for name in names:
            match = FILE_PATTERN.fullmatch(name)
            if match is None or not name.endswith(ending) or not 1 <= int(match[1]) <= SUBJECTS:
                raise CorpusError(
                    f"'{folder / name}' is not a file of DEAP: expected s01{ending} to s{SUBJECTS}{ending}, "
                    f"found {name}."
                )
            open_below(root, inside, name)
        self._ratings_file(root)
        return tuple(f"{inside}/{name}" if inside else name for name in names)

    def companions(self, root: Path) -> tuple[str, ...]:
        """The ratings: the labels of raw recordings, and the order of all."""
        path = self._ratings_file(root)
        return () if path is None else (path.relative_to(root.resolve()).as_posix(),)

    def check(self, root: Path) -> Iterator[Finding]:
        """As of every reader, and which of the 32 subjects are there."""
        try:
            found = [self._subject(file) for file in self.files(root)]
        except CorpusError:
            found = []
        if found:
            yield subjects_finding(found, 1, SUBJECTS, self.subject_name)
        yield from super().check(root)

    def check_file(self, root: Path, file: str) -> Iterator[Finding]:
        """As of every reader, and what the status channel of a raw recording holds."""
        if self.source == "raw":
            # what is wrong with it is said below
            with suppress(CorpusError):
                codes = RawRecording(open_below(root, file)).codes
                yield Finding(
                    True, file, "status channel", f"code {VIDEO} {VIDEOS} times", f"codes {shown_codes(codes)}"
                )
        yield from super().check_file(root, file)

    def read(self, root: Path, file: str) -> Iterator[Recording]:
        """One recording a trial, in time order."""
        path = open_below(root, file)
        read = self._read_raw if self.source == "raw" else self._read_preprocessed
        yield from read(root, path, self._subject(file))

    def _read_preprocessed(self, root: Path, path: Path, subject: int) -> Iterator[Recording]:
        data, scales = read_arrays(path)
        notes: tuple[str, ...] = (_PREPROCESSED_NOTE,)
        if self.time_order == "file":
            notes += ("trials in the order of the videos, which is not that of time",)
        start, stop = int(BASELINE_S * SAMPLING_RATE), SHAPE[2]
        for trial, video in enumerate(self._videos_in_time(root, path, subject, scales), start=1):
            label = self._label(scales[video, 0], scales[video, 1])
            if label is not None:
                signal_CT = np.array(data[video, : len(CHANNELS)], np.float64)
                yield Recording(
                    source=f"{path} (video {video + 1})",
                    subject=subject,
                    session=1,
                    channels=CHANNELS,
                    sampling_rate=SAMPLING_RATE,
                    signal=self._less_baseline(signal_CT, SAMPLING_RATE, start, stop),
                    trials=(TrialSpan(trial, label, start, stop),),
                    notes=notes,
                )
                notes = ()

    def _read_raw(self, root: Path, path: Path, subject: int) -> Iterator[Recording]:
        recording = RawRecording(path)
        ratings_path = self._ratings_file(root)
        assert ratings_path is not None, "raw recordings have no labels of their own"
        ratings = self._in_time(list(read_ratings(ratings_path, subject).values()), ratings_path, subject)
        if self.time_order == "checked":
            _check_pauses(recording, ratings, ratings_path, subject)
        notes: tuple[str, ...] = (_RAW_NOTE,)
        for trial, rating in enumerate(ratings, start=1):
            label = self._label(*rating.scales[:2])
            if label is not None:
                signal_CT, start, stop = recording.video(trial - 1)
                if self.reference == "average":
                    signal_CT -= signal_CT.mean(axis=0)
                yield Recording(
                    source=f"{path} (trial {trial}, video {rating.video})",
                    subject=subject,
                    session=1,
                    channels=CHANNELS,
                    sampling_rate=RAW_SAMPLING_RATE,
                    signal=self._less_baseline(signal_CT, RAW_SAMPLING_RATE, start, stop),
                    trials=(TrialSpan(trial, label, start, stop),),
                    notes=notes,
                )
                notes = ()

    @property
    def _source(self) -> Source:
        return "raw" if self.source == "raw" else self.release

    def _subject(self, file: str) -> int:
        match = FILE_PATTERN.fullmatch(file.rsplit("/", 1)[-1])
        assert match is not None, file
        return int(match[1])

    def _ratings_file(self, root: Path) -> Path | None:
        path = find_ratings(root)
        if path is None and self.source == "raw":
            raise CorpusError(
                f"'{root / 'metadata_csv' / RATINGS_FILE}' is missing: expected it for the labels, found only raw "
                "recordings.",
                "copy it from the corpus.",
            )
        if path is None and self.time_order != "file":
            raise CorpusError(
                f"'{root / 'metadata_csv' / RATINGS_FILE}' is missing: expected it for the trials' order in time, "
                "found only files in the order of the videos.",
                "copy it from the corpus, or state with time_order=file that the order in time does not matter.",
            )
        return path

    def _videos_in_time(self, root: Path, path: Path, subject: int, scales: NDArray[np.float64]) -> list[int]:
        """Indices into the file, in time order, once the ratings in both files are known to agree."""
        ratings_path = self._ratings_file(root)
        if ratings_path is None:
            return list(range(VIDEOS))
        ratings = read_ratings(ratings_path, subject)
        stated = np.array([ratings[video].scales for video in range(1, VIDEOS + 1)])
        wrong = np.argwhere(np.abs(stated - scales) > _RATING_TOLERANCE)
        if len(wrong):
            video, scale = wrong[0]
            raise CorpusError(
                f"{path} does not fit {ratings_path}: expected the ratings of subject {subject}, "
                f"{stated[video, scale]:g} for video {video + 1}, found {scales[video, scale]:g} ({len(wrong)} of "
                f"{stated.size} differ).",
                "files of subjects may have been swapped or renamed.",
            )
        return [rating.video - 1 for rating in self._in_time(list(ratings.values()), ratings_path, subject)]

    def _in_time(self, ratings: list[Rating], path: Path, subject: int) -> list[Rating]:
        by_trial = sorted(ratings, key=lambda rating: rating.trial)
        by_start = sorted(ratings, key=lambda rating: rating.start_time)
        if self.time_order == "checked" and by_trial != by_start:
            first = next(a for a, b in zip(by_trial, by_start, strict=True) if a != b)
            raise CorpusError(
                f"Trial and Start_time of subject {subject} in {path} disagree: expected the same order, found trial "
                f"{first.trial} starting as number {by_start.index(first) + 1}.",
                "choose which one to believe with time_order=trial or time_order=start_time.",
            )
        if self.time_order == "file":
            return sorted(ratings, key=lambda rating: rating.video)
        return by_start if self.time_order == "start_time" else by_trial

    def _label(self, valence: float, arousal: float) -> int | None:
        """Index into the classes, or None for a rating in the gap."""
        high = []
        for rating in (valence, arousal):
            between = self.threshold - self.gap < rating < self.threshold
            high.append(None if self.gap and between else int(rating >= self.threshold))
        if self.labels != "quadrants":
            return high[("valence", "arousal").index(self.labels)]
        return None if high[0] is None or high[1] is None else 2 * high[0] + high[1]

    def _less_baseline(
        self, signal_CT: NDArray[np.float64], sampling_rate: float, start: int, stop: int
    ) -> NDArray[np.float64]:
        """The signal, its trial less the mean second of what is before it where that is asked for."""
        if self.baseline == "subtract":
            second = int(sampling_rate)
            mean_CT = signal_CT[:, :start].reshape(len(signal_CT), -1, second).mean(axis=1)
            signal_CT[:, start:stop] -= np.tile(mean_CT, (stop - start) // second)
        return signal_CT


def _check_pauses(recording: RawRecording, ratings: list[Rating], path: Path, subject: int) -> None:
    """Refuse ratings of another subject, which no number in a raw recording would tell."""
    found = np.diff(recording.starts)
    # in microseconds, as DEAP's description says; ranks do not depend on it
    stated = np.diff([rating.start_time for rating in ratings])
    agreement = float(np.corrcoef(_ranks(found), _ranks(stated))[0, 1])
    if not agreement >= _LEAST_AGREEMENT:
        raise CorpusError(
            f"{recording.path} does not fit {path}: expected the times between the videos of subject {subject}, found "
            f"others (rank correlation {agreement:.2f}).",
            "files of subjects may have been swapped or renamed; time_order=trial believes the files' names.",
        )


def _ranks(values: NDArray[np.number]) -> NDArray[np.int64]:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")
