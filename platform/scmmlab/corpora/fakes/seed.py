"""Fakes of SEED and SEED-IV, with the real names, dates, keys, types and shapes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scmmlab.corpora import seed_facts, seed_facts_iv
from scmmlab.corpora.fakes.brain import Brain
from scmmlab.corpora.fakes.fake_corpus import FakeCorpus
from scmmlab.corpora.fakes.seed_files import MatlabVersion, feature_variables, write_matlab
from scmmlab.corpora.fakes.spreadsheets import write_column

_WINDOWS_4S = "SEED_EEG/ExtractedFeatures_4s"
_RESOLUTION = 2.0**-5
"""Of the fake amplifier, in µV."""


class _SessionsFake(FakeCorpus):
    subjects: int = Field(2, ge=1, le=15)
    """Subjects, the first of the 15."""
    parts: Literal["features", "raw", "both"] = "both"
    """What to write. A session of raw signals takes some 300 MB; with `small`, only the first session has them."""
    version: MatlabVersion = "v5"
    """Version of the MATLAB files."""

    dates: ClassVar[dict[int, tuple[int, ...]]]
    window_s: ClassVar[float]

    @abstractmethod
    def _trials(self, session: int) -> list[tuple[str, int, int]]:
        """Class, windows and samples of each trial."""

    @abstractmethod
    def _prefix(self, subject: int) -> str:
        """What raw variables begin with."""

    @abstractmethod
    def _place(self, part: str, session: int) -> str:
        """The folder of a part's session."""

    def _extras(self, out: Path) -> Iterator[Path]:
        yield from ()

    def write(self, out: Path) -> Iterator[Path]:
        """Subject by subject, session by session."""
        for subject, days in self.dates.items():
            if subject > self.subjects:
                break
            brain = Brain(self.name, seed_facts.CHANNELS, subject, self.seed)
            for session, day in enumerate(days, start=1):
                path = out / self._place("features", session) / f"{subject}_{day}.mat"
                if self.parts != "raw":
                    yield write_matlab(path, self._features(brain, session, self.window_s), self.version)
                    yield from self._further(brain, session, out, path.name)
                path = out / self._place("raw", session) / path.name
                if self.parts != "features" and not (self.small and session > 1):
                    yield write_matlab(path, self._raw(brain, subject, session), self.version)
        yield from self._extras(out)

    def _further(self, brain: Brain, session: int, out: Path, name: str) -> Iterator[Path]:
        """Further files of features of a session."""
        yield from ()

    def _features(self, brain: Brain, session: int, window_s: float) -> dict[str, NDArray[np.float64]]:
        variables: dict[str, NDArray[np.float64]] = {}
        for number, (state, windows, _) in enumerate(self._trials(session), start=1):
            windows = int(windows * self.window_s // window_s)
            entropies_WCF = brain.entropies(session, number, state, windows, window_s)
            smoothed = {"movingAve": _averaged(entropies_WCF, 5), "LDS": _averaged(entropies_WCF, 20)}
            variables |= feature_variables(number, entropies_WCF, smoothed, self.small)
        return variables

    def _raw(self, brain: Brain, subject: int, session: int) -> dict[str, NDArray[np.float64]]:
        variables = {}
        for number, (state, _, samples) in enumerate(self._trials(session), start=1):
            signal_CT = brain.signal(session, number, state, samples, seed_facts.SAMPLING_RATE)
            variables[f"{self._prefix(subject)}_eeg{number}"] = np.round(signal_CT / _RESOLUTION) * _RESOLUTION
        return variables


class SeedFake(_SessionsFake):
    """SEED in its old or new layout."""

    name: ClassVar[str] = "seed"
    summary: ClassVar[str] = "SEED: shipped features and preprocessed signals in MATLAB files"
    dates: ClassVar[dict[int, tuple[int, ...]]] = seed_facts.DATES
    window_s: ClassVar[float] = 1.0

    layout: Literal["old", "new"] = "old"
    """Folders as they were first given out, or as they are now, with features of 4 s as well. The recordings at
    1000 Hz, which no reader takes, are left out."""

    def _trials(self, session: int) -> list[tuple[str, int, int]]:
        return [
            (seed_facts.CLASSES[label + 1], seconds, seconds * int(seed_facts.SAMPLING_RATE) + 1)
            for label, seconds in zip(seed_facts.LABELS, seed_facts.SECONDS, strict=True)
        ]

    def _prefix(self, subject: int) -> str:
        return seed_facts.PREFIXES[subject]

    def _place(self, part: str, session: int) -> str:
        if self.layout == "old":
            return "ExtractedFeatures" if part == "features" else "Preprocessed_EEG"
        return f"SEED_EEG/{'ExtractedFeatures_1s' if part == 'features' else 'Preprocessed_EEG'}"

    def _further(self, brain: Brain, session: int, out: Path, name: str) -> Iterator[Path]:
        if self.layout == "new":
            yield write_matlab(out / _WINDOWS_4S / name, self._features(brain, session, 4.0), self.version)

    def _extras(self, out: Path) -> Iterator[Path]:
        new = self.layout == "new"
        folders = [] if self.parts == "raw" else [self._place("features", 1), *([_WINDOWS_4S] if new else [])]
        folders += [] if self.parts == "features" else [self._place("raw", 1)]
        for folder in folders:
            labels = {"label": np.array([seed_facts.LABELS], dtype=float)}
            yield write_matlab(out / folder / "label.mat", labels, "v5")
            readme = out / folder / "readme.txt"
            readme.write_text("Made up by scmmlab in the formats of SEED; no one was recorded.\n", encoding="utf-8")
            yield readme
        if new:
            yield write_column(out / "channel-order.xlsx", seed_facts.CHANNELS)


class SeedIVFake(_SessionsFake):
    """SEED-IV."""

    name: ClassVar[str] = "seed_iv"
    summary: ClassVar[str] = "SEED-IV: shipped features and signals in MATLAB files, a folder a session"
    dates: ClassVar[dict[int, tuple[int, ...]]] = seed_facts_iv.DATES
    window_s: ClassVar[float] = seed_facts_iv.WINDOW_S

    def _trials(self, session: int) -> list[tuple[str, int, int]]:
        per_window = int(seed_facts.SAMPLING_RATE * self.window_s)
        trials = zip(seed_facts_iv.LABELS[session - 1], seed_facts_iv.WINDOWS[session - 1], strict=True)
        return [
            # sad and happy look as SEED's negative and positive do, so that their transfer can be learned
            (seed_facts_iv.THREE_CLASSES.get(seed_facts_iv.CLASSES[label], "fear"), windows, windows * per_window + 1)
            for label, windows in trials
        ]

    def _prefix(self, subject: int) -> str:
        seen = ("cz", "ha", "hql", "ldy", "ly")
        return seen[subject - 1] if subject <= len(seen) else f"s{chr(ord('a') + subject)}"

    def _place(self, part: str, session: int) -> str:
        return f"{'eeg_feature_smooth' if part == 'features' else 'eeg_raw_data'}/{session}"


def _averaged(values_WCF: NDArray[np.float64], windows: int) -> NDArray[np.float64]:
    """The mean of each window and those before it."""
    sums = np.cumsum(values_WCF, axis=0)
    sums[windows:] -= sums[:-windows].copy()
    return np.asarray(sums / np.minimum(np.arange(1, len(sums) + 1), windows)[:, None, None])
