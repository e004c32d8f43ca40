"""Synthetic corpora with what real ones have: subject and corpus shifts, states that drift, channels that correlate.

==================  ==============================================================  ========
name                meaning                                                         shape
==================  ==============================================================  ========
`state_WS`          emotional state of each window: its class's mean, and a drift   (W, S)
`rhythm_WB`         background rhythms that have nothing to do with the class       (W, B)
`state_map_SCF`     how a state shows in the features of each channel and band      (S, C, F)
`rhythm_map_BCF`    how a background rhythm does                                    (B, C, F)
`offset_CF`         what is added for a corpus, a subject and a session             (C, F)
==================  ==============================================================  ========

W windows of a trial, S and B dimensions of states and rhythms, C channels, F bands. The two maps and the classes' means
are drawn from the names of channels and classes alone, so that corpora of any montage, size and seed share them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from scmmlab.config import Spec
from scmmlab.corpora.eegmat import CHANNELS
from scmmlab.corpora.recording import FeatureRecording, TrialFeatures

SYNTHETIC_VERSION = 1
"""Raised whenever the same parameters would give another corpus."""

BANDS = {"delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 14.0), "beta": (14.0, 31.0), "gamma": (31.0, 50.0)}
BAND_MEANS = (2.8, 2.5, 2.7, 2.3, 1.3)
"""Mean differential entropy of the bands, in nats, about that of eegmat."""
STATE_DIMENSIONS = 4
RHYTHM_DIMENSIONS = 5


class SyntheticSpec(Spec):
    """What a synthetic corpus is like. Standard deviations are in nats, of one feature."""

    name: str = Field("synthetic", pattern=r"^[A-Za-z0-9_.\-]+$")
    """Name of the corpus."""
    subjects: int = Field(6, ge=1, le=10_000)
    """Subjects, numbered from 1."""
    sessions: int = Field(1, ge=1, le=100)
    """Sessions of each subject, numbered from 1."""
    trials: int = Field(9, ge=1, le=1000)
    """Trials of each session, numbered from 1; any run of as many trials as classes from the first has each class."""
    windows: int = Field(20, ge=1, le=100_000)
    """Windows of each trial."""
    channels: tuple[str, ...] = Field(CHANNELS, min_length=1)
    """Channel names."""
    classes: tuple[str, ...] = Field(("negative", "neutral", "positive"), min_length=2)
    """Class names."""
    strength: float = Field(0.5, ge=0)
    """How far apart the classes are; at 0 there is nothing to learn."""
    drift: float = Field(0.25, ge=0)
    """How far a state wanders from its class's mean within a trial."""
    memory: float = Field(8.0, gt=0)
    """Windows in which a state forgets all but 1/e of where it was."""
    rhythms: float = Field(0.3, ge=0)
    """Background rhythms, which channels have in common."""
    noise: float = Field(0.3, gt=0)
    """What each feature of each window has by itself."""
    subject_shift: float = Field(0.5, ge=0)
    """How far subjects are from each other (sessions of one subject half as far)."""
    corpus_shift: float = Field(0.5, ge=0)
    """How far the corpus is from others, which have other names or seeds."""
    seed: int = Field(0, ge=0)
    """Seed of everything but what corpora share."""

    @model_validator(mode="after")
    def _check(self) -> SyntheticSpec:
        for field, names in (("channels", [name.lower() for name in self.channels]), ("classes", self.classes)):
            if len(set(names)) != len(names):
                raise ValueError(f"{field} must differ, got {list(getattr(self, field))}")
        return self


def synthetic_recordings(spec: SyntheticSpec, rng: np.random.Generator) -> Iterator[FeatureRecording]:
    """The sessions of a synthetic corpus, subject by subject.

    Parameters
    ----------
    spec : SyntheticSpec
        What it is like. A corpus with more subjects begins with the same ones.
    rng : numpy.random.Generator
        The source of all that is random.
    """
    shape = (len(spec.channels), len(BANDS))
    state_map_SCF = map_of_channels("state", spec.channels, STATE_DIMENSIONS, mean=0.0)
    # rhythms have one sign in most channels, as volume conduction spreads them over the scalp
    rhythm_map_BCF = map_of_channels("rhythm", spec.channels, RHYTHM_DIMENSIONS, mean=1.0) / np.sqrt(RHYTHM_DIMENSIONS)
    class_means = np.stack([unit_vector(f"class {name}", STATE_DIMENSIONS) for name in spec.classes])
    corpus_CF = np.array(BAND_MEANS) + spec.corpus_shift * named_generator(f"corpus {spec.name} {spec.seed}").normal(
        size=shape
    )
    for number, subject_rng in enumerate(rng.spawn(spec.subjects), start=1):
        subject_CF = corpus_CF + spec.subject_shift * subject_rng.normal(size=shape)
        gain = np.exp(0.2 * subject_rng.normal())
        for session in range(1, spec.sessions + 1):
            offset_CF = subject_CF + 0.5 * spec.subject_shift * subject_rng.normal(size=shape)
            trials = []
            for trial, label in enumerate(_labels(spec, subject_rng), start=1):
                drift_WS = autoregressive(spec.windows, STATE_DIMENSIONS, spec.memory, subject_rng)
                state_WS = spec.strength * class_means[label] + spec.drift * drift_WS
                rhythm_WB = spec.rhythms * autoregressive(spec.windows, RHYTHM_DIMENSIONS, spec.memory / 4, subject_rng)
                noise_WCF = spec.noise * subject_rng.normal(size=(spec.windows, *shape))
                # x = offset + gain · state · map + rhythms · map + noise
                features_WCF = (
                    offset_CF
                    + gain * np.tensordot(state_WS, state_map_SCF, axes=1)
                    + np.tensordot(rhythm_WB, rhythm_map_BCF, axes=1)
                    + noise_WCF
                )
                trials.append(TrialFeatures(trial, int(label), features_WCF.astype(np.float32)))
            yield FeatureRecording(
                source=f"synthetic corpus '{spec.name}'",
                subject=number,
                session=session,
                channels=spec.channels,
                bands=BANDS,
                window_s=1.0,
                trials=trials,
            )


def _labels(spec: SyntheticSpec, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rounds of all classes, each in a random order, so that the first trials and the last have every class."""
    rounds = -(-spec.trials // len(spec.classes))
    return np.concatenate([rng.permutation(len(spec.classes)) for _ in range(rounds)])[: spec.trials]


def autoregressive(windows: int, dimensions: int, memory: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A stationary first-order autoregressive process of variance 1, shape=(windows, dimensions)."""
    kept = np.exp(-1 / memory)
    steps = rng.normal(size=(windows, dimensions))
    steps[1:] *= np.sqrt(1 - kept**2)
    # s_t = ρ s_{t−1} + √(1 − ρ²) ε_t
    for window in range(1, windows):
        steps[window] += kept * steps[window - 1]
    return steps


def map_of_channels(kind: str, channels: tuple[str, ...], dimensions: int, mean: float) -> NDArray[np.float64]:
    """How each dimension shows in each channel and band, shape=(dimensions, channels, bands)."""
    by_channel = [
        named_generator(f"{kind} {name.lower()}").normal(mean, 1.0, (dimensions, len(BANDS))) for name in channels
    ]
    return np.stack(by_channel, axis=1)


def unit_vector(name: str, dimensions: int) -> NDArray[np.float64]:
    """A direction that depends on a name alone."""
    direction = named_generator(name).normal(size=dimensions)
    unit: NDArray[np.float64] = direction / np.linalg.norm(direction)
    return unit


def named_generator(name: str) -> np.random.Generator:
    """A generator that depends on a name alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))
