"""A fake of SEED-V: shipped features as pickled dictionaries in .npz files, and raw Neuroscan recordings."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scmmlab.corpora import seed_facts, seed_facts_v
from scmmlab.corpora.fakes.brain import Brain
from scmmlab.corpora.fakes.cnt_files import MICROVOLTS_PER_STEP, write_cnt
from scmmlab.corpora.fakes.fake_corpus import FakeCorpus
from scmmlab.corpora.fakes.seed_files import shipped_form
from scmmlab.corpora.synthetic import named_generator

_BLOCK_S = 10
_EARS, _EYES = ("M1", "M2"), ("VEO", "HEO")


class SeedVFake(FakeCorpus):
    """`EEG_DE_features/{subject}_123.npz` with all three sessions; `EEG_raw/{subject}_{session}_{date}.cnt`."""

    name: ClassVar[str] = "seed_v"
    summary: ClassVar[str] = "SEED-V: shipped features as pickles in .npz files, raw signals in Neuroscan's .cnt"

    subjects: int = Field(2, ge=1, le=seed_facts_v.SUBJECTS)
    """Subjects, the first of the 16."""
    parts: Literal["features", "raw", "both"] = "features"
    """What to write. A session of raw signals takes some 900 MB; with `small`, only the first session has them."""

    def write(self, out: Path) -> Iterator[Path]:
        """Subject by subject."""
        for subject in range(1, self.subjects + 1):
            brain = Brain(self.name, seed_facts.CHANNELS, subject, self.seed)
            if self.parts != "raw":
                yield self._features(out / "EEG_DE_features", brain, subject)
            if self.parts != "features":
                for session in (1,) if self.small else (1, 2, 3):
                    yield self._raw(out / "EEG_raw", brain, subject, session)

    def _features(self, folder: Path, brain: Brain, subject: int) -> Path:
        folder.mkdir(exist_ok=True)
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
        return path

    def _raw(self, folder: Path, brain: Brain, subject: int, session: int) -> Path:
        folder.mkdir(exist_ok=True)
        # as in the recordings: the ears stand between the other electrodes, the eyes after them
        left, right = seed_facts.CHANNELS.index("TP7"), seed_facts.CHANNELS.index("P7")
        channels = seed_facts.CHANNELS
        labels = [*channels[:left], _EARS[0], *channels[left:right], _EARS[1], *channels[right:], *_EYES]
        path = folder / f"{subject}_{session}_{20180400 + 7 * session + subject}.cnt"
        write_cnt(path, labels, self._blocks(labels, brain, subject, session), int(seed_facts_v.SAMPLING_RATE))
        return path

    def _blocks(self, labels: list[str], brain: Brain, subject: int, session: int) -> Iterator[NDArray[np.int32]]:
        """A session from its start to 10 s after its last trial; noise on all channels, the trials' signals on EEG."""
        rate = int(seed_facts_v.SAMPLING_RATE)
        rng = named_generator(f"fake {self.name} {self.seed} subject {subject} session {session} raw")
        eeg = [labels.index(name) for name in seed_facts.CHANNELS]
        now_s = 0
        times = zip(seed_facts_v.STARTS[session - 1], seed_facts_v.STOPS[session - 1], strict=True)
        for trial, (start_s, stop_s) in enumerate(times, start=1):
            yield from self._between(len(labels), start_s - now_s, rate, rng)
            state = seed_facts_v.CLASSES[seed_facts_v.LABELS[session - 1][trial - 1]]
            signal_CT = brain.signal(session, trial, state, (stop_s - start_s) * rate, rate)
            stored_CT = rng.integers(-300, 300, (len(labels), signal_CT.shape[1]), np.int32)
            stored_CT[eeg] = np.round(signal_CT / MICROVOLTS_PER_STEP)
            yield stored_CT
            now_s = stop_s
        yield from self._between(len(labels), 10, rate, rng)

    def _between(self, channels: int, seconds: int, rate: int, rng: np.random.Generator) -> Iterator[NDArray[np.int32]]:
        for begin in range(0, seconds, _BLOCK_S):
            yield rng.integers(-300, 300, (channels, min(_BLOCK_S, seconds - begin) * rate), np.int32)
