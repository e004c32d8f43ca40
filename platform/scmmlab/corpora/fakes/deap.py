"""A fake of DEAP's preprocessed releases, with participant_ratings.csv."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.io
from pydantic import Field

from scmmlab.corpora.deap import CHANNELS, FOLDERS, SAMPLING_RATE, SCHEMES, SHAPE, SUBJECTS, Release
from scmmlab.corpora.deap_ratings import COLUMNS
from scmmlab.corpora.deap_ratings import FILE as RATINGS_FILE
from scmmlab.corpora.fakes.brain import Brain
from scmmlab.corpora.fakes.fake_corpus import FakeCorpus
from scmmlab.corpora.synthetic import named_generator


class DeapFake(FakeCorpus):
    """Every subject has all 40 videos, whether small or not: the reader takes nothing less."""

    name: ClassVar[str] = "deap"
    summary: ClassVar[str] = f"{FOLDERS['python']}/sNN.dat (or Matlab's) and metadata_csv/{RATINGS_FILE}"

    subjects: int = Field(2, ge=1, le=SUBJECTS)
    """Subjects, the first of the corpus."""

    release: Release = "python"
    """Python's pickles, or Matlab's files of version 5."""

    def write(self, out: Path) -> Iterator[Path]:
        """A file a subject, then the ratings of all."""
        folder = out / FOLDERS[self.release]
        folder.mkdir()
        lines = [",".join((*COLUMNS, "Familiarity"))]
        for subject in range(1, self.subjects + 1):
            rng = named_generator(f"fake {self.name} {self.seed} subject {subject} ratings")
            scales = np.round(rng.uniform(1, 9, (SHAPE[0], 4)), 2)
            # which trial each video was, and when it began
            trials = 1 + rng.permutation(SHAPE[0])
            starts = np.cumsum(rng.integers(90_000_000, 130_000_000, SHAPE[0]))
            for video, trial in enumerate(trials, start=1):
                rated = ",".join(f"{value:g}" for value in scales[video - 1])
                lines.append(f"{subject},{trial},{video},{starts[trial - 1]},{rated},{rng.integers(1, 6)}")
            content = {"labels": scales, "data": self._signals(subject, scales, trials)}
            if self.release == "python":
                path = folder / f"s{subject:02d}.dat"
                with path.open("wb") as file:
                    pickle.dump(content, file, protocol=2)
            else:
                path = folder / f"s{subject:02d}.mat"
                scipy.io.savemat(path, content)
            yield path
        path = out / "metadata_csv" / RATINGS_FILE
        path.parent.mkdir()
        path.write_text("\n".join(lines) + "\n")
        yield path

    def _signals(self, subject: int, scales: np.ndarray, trials: np.ndarray) -> np.ndarray:
        brain = Brain(self.name, CHANNELS, subject, self.seed)
        rng = named_generator(f"fake {self.name} {self.seed} subject {subject} body")
        data = np.empty(SHAPE)
        for video, trial in enumerate(trials.tolist()):
            states = {SCHEMES[name][int(scales[video, at] >= 5)]: 1.0 for at, name in enumerate(("valence", "arousal"))}
            data[video, : len(CHANNELS)] = brain.signal(1, trial, states, SHAPE[2], SAMPLING_RATE)
            # eyes, muscles, skin, breath, pulse and temperature are no EEG, and no reader takes them
            data[video, len(CHANNELS) :] = rng.normal(0, 50, (SHAPE[1] - len(CHANNELS), SHAPE[2]))
        return data
