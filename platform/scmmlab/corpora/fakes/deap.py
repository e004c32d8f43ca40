"""A fake of DEAP's releases, with participant_ratings.csv."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.io
from pydantic import Field

from scmmlab.corpora.deap import SCHEMES
from scmmlab.corpora.deap_facts import CHANNELS, ENDINGS, FOLDERS, SAMPLING_RATE, SHAPE, SUBJECTS, VIDEO_S, Source
from scmmlab.corpora.deap_ratings import COLUMNS
from scmmlab.corpora.deap_ratings import FILE as RATINGS_FILE
from scmmlab.corpora.fakes.brain import Brain
from scmmlab.corpora.fakes.deap_raw import write_raw
from scmmlab.corpora.fakes.fake_corpus import FakeCorpus
from scmmlab.corpora.synthetic import named_generator


class DeapFake(FakeCorpus):
    """Every subject has all 40 videos, whether small or not: the reader takes nothing less."""

    name: ClassVar[str] = "deap"
    summary: ClassVar[str] = f"{FOLDERS['python']}/sNN.dat (or Matlab's, or sNN.bdf) and metadata_csv/{RATINGS_FILE}"

    subjects: int = Field(2, ge=1, le=SUBJECTS)
    """Subjects, the first of the corpus."""
    first_subject: int = Field(1, ge=1, le=SUBJECTS)
    """The first of them; raw recordings of 1 to 22, 23, 24 to 28 and 29 to 32 are laid out differently."""
    release: Source = "python"
    """Python's pickles, Matlab's files of version 5, or raw recordings, which take some 300 MB a subject (with `small`,
    where the pauses between the videos are short, 200 MB)."""

    def write(self, out: Path) -> Iterator[Path]:
        """A file a subject, then the ratings of all."""
        folder = out / FOLDERS[self.release]
        folder.mkdir()
        lines = [",".join((*COLUMNS, "Familiarity"))]
        for subject in range(self.first_subject, min(self.first_subject + self.subjects, SUBJECTS + 1)):
            rng = named_generator(f"fake {self.name} {self.seed} subject {subject} ratings")
            scales = np.round(rng.uniform(1, 9, (SHAPE[0], 4)), 2)
            # which trial each video was, and when it began
            trials = 1 + rng.permutation(SHAPE[0])
            pauses_s = rng.integers(6, 13, SHAPE[0]) if self.small else rng.integers(20, 55, SHAPE[0])
            starts_s = np.cumsum(VIDEO_S + pauses_s)
            for video, trial in enumerate(trials, start=1):
                rated = ",".join(f"{value:g}" for value in scales[video - 1])
                # in microseconds, and a little late
                start = 1_000_000 * starts_s[trial - 1] + rng.integers(20_000)
                lines.append(f"{subject},{trial},{video},{start},{rated},{rng.integers(1, 6)}")
            path = folder / f"s{subject:02d}{ENDINGS[self.release]}"
            if self.release == "raw":
                in_time = [_states(scales[video]) for video in np.argsort(trials)]
                brain = Brain(self.name, CHANNELS, subject, self.seed)
                write_raw(path, brain, subject, in_time, starts_s, rng)
            else:
                content = {"labels": scales, "data": self._signals(subject, scales, trials)}
                if self.release == "python":
                    with path.open("wb") as file:
                        pickle.dump(content, file, protocol=2)
                else:
                    scipy.io.savemat(path, content)
            yield path
        path = out / "metadata_csv" / RATINGS_FILE
        path.parent.mkdir()
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield path

    def _signals(self, subject: int, scales: np.ndarray, trials: np.ndarray) -> np.ndarray:
        brain = Brain(self.name, CHANNELS, subject, self.seed)
        rng = named_generator(f"fake {self.name} {self.seed} subject {subject} body")
        data = np.empty(SHAPE)
        for video, trial in enumerate(trials.tolist()):
            data[video, : len(CHANNELS)] = brain.signal(1, trial, _states(scales[video]), SHAPE[2], SAMPLING_RATE)
            # eyes, muscles, skin, breath, pulse and temperature are no EEG, and no reader takes them
            data[video, len(CHANNELS) :] = rng.normal(0, 50, (SHAPE[1] - len(CHANNELS), SHAPE[2]))
        return data


def _states(scales: np.ndarray) -> dict[str, float]:
    """What a trial is about, by its ratings of valence and arousal."""
    return {SCHEMES[name][int(scales[at] >= 5)]: 1.0 for at, name in enumerate(("valence", "arousal"))}
