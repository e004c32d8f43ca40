"""A fake of FACED's preprocessed recordings."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from scmmlab.corpora.faced import CHANNELS, CLASSES, FOLDER, LABELS, SAMPLING_RATE, SHAPE, SUBJECTS
from scmmlab.corpora.fakes.brain import Brain
from scmmlab.corpora.fakes.fake_corpus import FakeCorpus


class FacedFake(FakeCorpus):
    """Every subject has all 28 clips, whether small or not: the reader takes nothing less."""

    name: ClassVar[str] = "faced"
    summary: ClassVar[str] = f"{FOLDER}/subNNN.pkl"

    subjects: int = Field(2, ge=1, le=SUBJECTS)
    """Subjects, the first of the corpus."""

    def write(self, out: Path) -> Iterator[Path]:
        """A file a subject."""
        (out / FOLDER).mkdir()
        for subject in range(self.subjects):
            brain = Brain(self.name, CHANNELS, subject, self.seed)
            data = np.empty(SHAPE)
            for clip, label in enumerate(LABELS):
                signal_CT = brain.signal(1, clip + 1, CLASSES[label], SHAPE[2], SAMPLING_RATE)
                data[clip, : len(CHANNELS)] = signal_CT
                # A2 and A1 are near T8 and T7
                data[clip, len(CHANNELS) :] = 0.5 * signal_CT[[CHANNELS.index("T8"), CHANNELS.index("T7")]]
            path = out / FOLDER / f"sub{subject:03d}.pkl"
            with path.open("wb") as file:
                pickle.dump(data, file, protocol=4)
            yield path
