"""DEAP: music videos, 32 subjects, 32 EEG channels, 128 Hz, in its two preprocessed releases (Python, Matlab)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scmmlab.corpora.deap_ratings import FILE as RATINGS_FILE
from scmmlab.corpora.deap_ratings import VIDEOS, Rating, find_ratings, read_ratings
from scmmlab.corpora.finding import Finding
from scmmlab.corpora.matlab import open_matlab
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import Reader, corpus_folder
from scmmlab.corpora.recording import Recording, TrialSpan
from scmmlab.corpora.unpickling import load_pickle_safely
from scmmlab.errors import CorpusError

# fmt: off
CHANNELS = (
    "Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1", "Oz", "Pz",
    "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2", "P4", "P8", "PO4", "O2",
)
# fmt: on
"""Geneva's order, in which the preprocessed arrays are; MNE's `biosemi32` is Twente's."""
SUBJECTS = 32
SAMPLING_RATE = 128.0
BASELINE_SAMPLES = 3 * 128
SHAPE = (VIDEOS, 40, 8064)
"""Videos, channels (the last eight are no EEG), samples: 3 s of baseline and 60 s."""
Release = Literal["python", "matlab"]
FOLDERS: dict[Release, str] = {"python": "data_preprocessed_python", "matlab": "data_preprocessed_matlab"}
ENDINGS: dict[Release, str] = {"python": ".dat", "matlab": ".mat"}
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

_FILE = re.compile(r"s(\d\d)\.(?:dat|mat)")
_SHAPES = {"data": SHAPE, "labels": (VIDEOS, 4)}
_RATING_TOLERANCE = 0.011
"""The ratings' file and the data round differently, to a hundredth at most."""


class DeapReader(Reader):
    """Reads `s01.dat` to `s32.dat` or `s01.mat` to `s32.mat`; a trial's number is its place in time, not in the file.

    The files have the trials in the order of the videos. Each trial is a recording of its own, so that no filter runs
    across the border of two, and the baseline before it takes up the filter's start.
    """

    name: ClassVar[str] = "deap"
    corpus: ClassVar[str] = "deap"
    summary: ClassVar[str] = "music videos rated for valence and arousal, 32 subjects, 32 channels, 128 Hz, 4-45 Hz"
    needs: ClassVar[str] = (
        f"{FOLDERS['python']}/s01.dat to s32.dat (or, with release=matlab, {FOLDERS['matlab']}/s01.mat to s32.mat) and "
        f"metadata_csv/{RATINGS_FILE}"
    )
    attribution: ClassVar[str | None] = (
        "Koelstra S, Mühl C, Soleymani M, et al. DEAP: A Database for Emotion Analysis Using Physiological Signals. "
        "IEEE Transactions on Affective Computing 2012, 3(1), 18-31."
    )
    licence: ClassVar[str | None] = "End-user licence agreement; the corpus may not be passed on"

    release: Release = "python"
    """Which of the two releases is read; they hold the same arrays."""
    labels: Literal["valence", "arousal", "quadrants"] = "valence"
    """What is told apart: low and high valence, low and high arousal, or the four quadrants of both."""
    threshold: float = Field(5.0, gt=1, le=9)
    """Ratings from here on, on the scale from 1 to 9, are high."""
    gap: float = Field(0.0, ge=0, lt=8)
    """Ratings that are not high but above threshold minus this are left out; at 0 all that are not high are low."""
    baseline: Literal["skip", "subtract"] = "skip"
    """The 3 s before a video: left out, or their mean second subtracted from each second of the signal and left out."""
    time_order: Literal["checked", "trial", "start_time", "file"] = "checked"
    """Where the trials' order in time comes from: the ratings' columns Trial and Start_time, which must agree, either
    of them, or (without a file of ratings) the order of the videos, which is no order in time."""

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
        inside = FOLDERS[self.release] if (root / FOLDERS[self.release]).is_dir() else ""
        ending = ENDINGS[self.release]
        folder = open_below(root, inside)
        names = sorted(
            path.name for path in folder.iterdir() if path.suffix.lower() == ending and not path.name.startswith(".")
        )
        if not names:
            raise CorpusError(f"There are no recordings in '{root}': expected {self.needs}, found no {ending} file.")
        for name in names:
            match = _FILE.fullmatch(name)
            if match is None or not name.endswith(ending) or not 1 <= int(match[1]) <= SUBJECTS:
                raise CorpusError(
                    f"'{folder / name}' is no file of DEAP: expected s01{ending} to s{SUBJECTS}{ending}, found {name}."
                )
            open_below(root, inside, name)
        self._ratings_file(root)
        return tuple(f"{inside}/{name}" if inside else name for name in names)

    def check(self, root: Path) -> Iterator[Finding]:
        """As of every reader, and which of the 32 subjects are there."""
        try:
            found = [self._subject(file) for file in self.files(root)]
        except CorpusError:
            found = []
        if found:
            absent = [self.subject_name(number) for number in range(1, SUBJECTS + 1) if number not in found]
            yield Finding(
                not absent,
                ".",
                "subjects",
                f"s01 to s{SUBJECTS}",
                f"{len(found)} of them" + (f", without {', '.join(absent)}" if absent else ""),
                "the others can be read as they are; copy the missing files for the whole corpus" if absent else "",
            )
        yield from super().check(root)

    def read(self, root: Path, file: str) -> Iterator[Recording]:
        """One recording a trial, in time order."""
        path = open_below(root, file)
        subject = self._subject(file)
        data, scales = _arrays(path)
        videos, notes = self._videos_in_time(root, path, subject, scales)
        for trial, video in enumerate(videos, start=1):
            label = self._label(scales[video, 0], scales[video, 1])
            if label is not None:
                yield Recording(
                    source=f"{path} (video {video + 1})",
                    subject=subject,
                    session=1,
                    channels=CHANNELS,
                    sampling_rate=SAMPLING_RATE,
                    signal=self._signal(data[video, : len(CHANNELS)]),
                    trials=(TrialSpan(trial, label, BASELINE_SAMPLES, SHAPE[2]),),
                    notes=notes,
                )
            notes = ()

    def _subject(self, file: str) -> int:
        match = _FILE.fullmatch(file.rsplit("/", 1)[-1])
        assert match is not None, file
        return int(match[1])

    def _ratings_file(self, root: Path) -> Path | None:
        path = find_ratings(root)
        if path is None and self.time_order != "file":
            raise CorpusError(
                f"'{root / 'metadata_csv' / RATINGS_FILE}' is missing: expected it for the trials' order in time, "
                "found only files in the order of the videos.",
                "copy it from the corpus, or state with time_order=file that the order in time does not matter.",
            )
        return path

    def _videos_in_time(
        self, root: Path, path: Path, subject: int, scales: NDArray[np.float64]
    ) -> tuple[list[int], tuple[str, ...]]:
        """Indices into the file, in time order, once the ratings in both files are known to agree."""
        ratings_path = self._ratings_file(root)
        notes: tuple[str, ...] = ()
        if self.time_order == "file":
            notes = (f"s{subject:02d}: trials in the order of the videos, which is not that of time",)
        if ratings_path is None:
            return list(range(VIDEOS)), notes
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
        return [rating.video - 1 for rating in self._in_time(list(ratings.values()), ratings_path, subject)], notes

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

    def _signal(self, signal_CT: NDArray[np.float64]) -> NDArray[np.float64]:
        signal_CT = np.array(signal_CT, np.float64)
        if self.baseline == "subtract":
            second = int(SAMPLING_RATE)
            mean_CT = signal_CT[:, :BASELINE_SAMPLES].reshape(len(signal_CT), -1, second).mean(axis=1)
            signal_CT[:, BASELINE_SAMPLES:] -= np.tile(mean_CT, (SHAPE[2] - BASELINE_SAMPLES) // second)
        return signal_CT


def _arrays(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The signals and the ratings of a file, once they are what they should be."""
    content = _mat(path) if path.suffix == ".mat" else load_pickle_safely(path)
    if not isinstance(content, dict) or not _SHAPES.keys() <= content.keys():
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise CorpusError(f"{path} is no file of DEAP: expected 'data' and 'labels', found {found}.")
    for name, shape in _SHAPES.items():
        array = content[name]
        is_array = isinstance(array, np.ndarray)
        if not is_array or array.shape != shape or array.dtype.kind != "f":
            _refuse(path, name, shape, f"{array.dtype} of {array.shape}" if is_array else type(array).__name__)
    scales = np.asarray(content["labels"], np.float64)
    wrong = np.argwhere(~((scales >= 1) & (scales <= 9)))
    if len(wrong):
        video, scale = wrong[0]
        raise CorpusError(
            f"A rating in {path} is out of range: expected 1 to 9, found {scales[video, scale]:g} for video "
            f"{video + 1}."
        )
    return content["data"], scales


def _mat(path: Path) -> dict[str, NDArray[np.float64]]:
    """What a file of the Matlab release holds, read once its header says that it is of the right size."""
    file = open_matlab(path)
    for name, shape in _SHAPES.items():
        variable = file.variables.get(name)
        if variable is None:
            return dict.fromkeys(file.variables, np.empty(0))
        if variable.shape != shape or variable.kind not in ("double", "single"):
            _refuse(path, name, shape, f"{variable.kind} of {variable.shape}")
    return {name: file.read(name) for name in _SHAPES}


def _refuse(path: Path, name: str, shape: tuple[int, ...], found: str) -> NoReturn:
    raise CorpusError(f"'{name}' in {path} has another shape or type: expected floats of {shape}, found {found}.")
