"""DREAMER: film clips rated for valence, arousal and dominance, 23 subjects, 14 channels, 128 Hz."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scmmlab.corpora.dreamer_file import CHANNELS, CLIPS, FILE, SAMPLING_RATE, SUBJECTS, DreamerSubject, read_subjects
from scmmlab.corpora.finding import Finding
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import Reader, corpus_folder
from scmmlab.corpora.recording import Recording, TrialSpan
from scmmlab.errors import CorpusError

_SCALES = ("valence", "arousal", "dominance")
_ORDER_NOTE = "trials in the order of the clips in the file; whether it is that of time is not known"


class DreamerReader(Reader):
    """Reads `DREAMER.mat`, one subject in memory at a time. A trial's number is that of its clip.

    Each clip is a recording of its own. The baselines before the clips are not used.
    """

    name: ClassVar[str] = "dreamer"
    corpus: ClassVar[str] = "dreamer"
    summary: ClassVar[str] = (
        "film clips rated for valence, arousal and dominance, 23 subjects x 18 clips, 14 channels, 128 Hz"
    )
    needs: ClassVar[str] = FILE
    attribution: ClassVar[str | None] = (
        "Katsigiannis S, Ramzan N. DREAMER: A Database for Emotion Recognition Through EEG and ECG Signals from "
        "Wireless Low-cost Off-the-Shelf Devices. IEEE Journal of Biomedical and Health Informatics 2018, 22(1), "
        "98-107."
    )

    labels: Literal["valence", "arousal", "dominance", "quadrants"] = "valence"
    """What is told apart: low and high of one scale, or the four quadrants of valence and arousal."""
    threshold: float = Field(3.0, ge=1, le=5)
    """Scores above this, on the scale from 1 to 5, are high, and below it low."""
    ties: Literal["high", "low", "out"] = "high"
    """What scores at the threshold are: with whole scores and a threshold of 3 they are many."""

    @property
    def classes(self) -> tuple[str, ...]:
        """As `labels` says."""
        if self.labels != "quadrants":
            return (f"low {self.labels}", f"high {self.labels}")
        return tuple(
            f"{valence} valence, {arousal} arousal" for valence in ("low", "high") for arousal in ("low", "high")
        )

    def files(self, root: Path) -> tuple[str, ...]:
        """The one file."""
        corpus_folder(root)
        if not open_below(root, FILE).is_file():
            raise CorpusError(f"There are no recordings in '{root}': expected {FILE}, found no such file.")
        return (FILE,)

    def read(self, root: Path, file: str) -> Iterator[Recording]:
        """One recording a clip, subject by subject."""
        path = open_below(root, file)
        notes: tuple[str, ...] = (_ORDER_NOTE,)
        for number, subject in enumerate(read_subjects(path), start=1):
            for clip, signal_TC in enumerate(subject.stimuli):
                label = self._label(subject, clip)
                if label is not None:
                    yield Recording(
                        source=f"{path} (subject {number}, clip {clip + 1})",
                        subject=number,
                        session=1,
                        channels=CHANNELS,
                        sampling_rate=SAMPLING_RATE,
                        signal=_centred(signal_TC),
                        trials=(TrialSpan(clip + 1, label, 0, len(signal_TC)),),
                        notes=notes,
                    )
                    notes = ()

    def check_file(self, root: Path, file: str) -> Iterator[Finding]:
        """Each subject by itself."""
        count = 0
        try:
            for count, subject in enumerate(read_subjects(open_below(root, file)), start=1):
                seconds = [len(signal_TC) / SAMPLING_RATE for signal_TC in subject.stimuli]
                yield Finding(
                    True,
                    file,
                    f"subject {count}",
                    f"{CLIPS} clips of {len(CHANNELS)} channels, and their scores",
                    f"{CLIPS} clips of {min(seconds):.0f} to {max(seconds):.0f} s",
                )
        except CorpusError as error:
            yield Finding.of_error(file, error)
        else:
            yield Finding(True, file, "subjects", str(SUBJECTS), str(count))

    def _label(self, subject: DreamerSubject, clip: int) -> int | None:
        """Index into the classes, or None for a score at the threshold where those are left out."""
        high = {}
        for name in _SCALES:
            score = subject.scores[name][clip]
            tie = {"high": 1, "low": 0, "out": None}[self.ties]
            high[name] = tie if score == self.threshold else int(score > self.threshold)
        if self.labels != "quadrants":
            return high[self.labels]
        valence, arousal = high["valence"], high["arousal"]
        return None if valence is None or arousal is None else 2 * valence + arousal


def _centred(signal_TC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Channels as rows, less their means: the headset adds some 4200 µV, which no band has."""
    # of what is finite, so that a NaN stays where it is and is named by `Recording`
    finite_TC = np.isfinite(signal_TC)
    mean_C = signal_TC.sum(axis=0, where=finite_TC) / np.maximum(finite_TC.sum(axis=0), 1)
    return np.ascontiguousarray((signal_TC - mean_C).T)
