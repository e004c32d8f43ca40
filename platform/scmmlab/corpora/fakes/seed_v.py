"""A fake of SEED-V's shipped features: pickled dictionaries in .npz files."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from scmmlab.corpora import seed_facts, seed_facts_v
from scmmlab.corpora.fakes.brain import Brain
from scmmlab.corpora.fakes.fake_corpus import FakeCorpus
from scmmlab.corpora.fakes.seed_files import shipped_form


class SeedVFake(FakeCorpus):
    """`EEG_DE_features/{subject}_123.npz` with all three sessions."""

    name: ClassVar[str] = "seed_v"
    summary: ClassVar[str] = "SEED-V: shipped features as pickles in .npz files"

    subjects: int = Field(2, ge=1, le=seed_facts_v.SUBJECTS)
    """Subjects, the first of the 16."""

    def write(self, out: Path) -> Iterator[Path]:
        """Subject by subject."""
        folder = out / "EEG_DE_features"
        folder.mkdir()
        for subject in range(1, self.subjects + 1):
            brain = Brain(self.name, seed_facts.CHANNELS, subject, self.seed)
            data, labels = {}, {}
            for session in (1, 2, 3):
                for index, label in enumerate(seed_facts_v.LABELS[session - 1]):
                    key = 15 * (session - 1) + index
                    seconds = seed_facts_v.STOPS[session - 1][index] - seed_facts_v.STARTS[session - 1][index]
                    windows = int(seconds // seed_facts_v.WINDOW_S)
                    state = seed_facts_v.CLASSES[label]
                    entropies_WCF = brain.entropies(session, index + 1, state, windows, seed_facts_v.WINDOW_S)
                    data[key] = shipped_form(entropies_WCF).transpose(1, 0, 2).reshape(windows, -1)
                    labels[key] = np.full(windows, float(label))
            path = folder / f"{subject}_123.npz"
            np.savez(path, data=np.array(pickle.dumps(data)), label=np.array(pickle.dumps(labels)))
            yield path
