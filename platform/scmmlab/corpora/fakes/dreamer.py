"""A fake of DREAMER.mat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scmmlab.corpora.dreamer_file import BASELINE_SAMPLES, CHANNELS, CLIPS, FILE, SAMPLING_RATE, SUBJECTS, VARIABLE
from scmmlab.corpora.fakes.brain import Brain
from scmmlab.corpora.fakes.fake_corpus import FakeCorpus
from scmmlab.corpora.fakes.nested_files import Later, MatlabCell, Value, write_nested
from scmmlab.corpora.synthetic import named_generator

_HEADSET_UV, _RESOLUTION_UV = 4200.0, 0.51
_ECG_PER_EEG = 2
"""Samples of ECG, at 256 Hz, for one of EEG."""


class DreamerFake(FakeCorpus):
    """All subjects have all clips, since one file holds them: the reader takes nothing less."""

    name: ClassVar[str] = "dreamer"
    summary: ClassVar[str] = FILE

    subjects: int = Field(SUBJECTS, ge=SUBJECTS, le=SUBJECTS)
    """All 23."""

    def write(self, out: Path) -> Iterator[Path]:
        """The one file, a clip in memory at a time."""
        clips = named_generator(f"fake {self.name} {self.seed} clips")
        # from 65 to 393 s, and short ones more often; or as short as the reader takes
        seconds = np.full(CLIPS, 60) if self.small else (65 + 329 * clips.random(CLIPS) ** 2).astype(int)
        content: dict[str, Value] = {
            "Data": MatlabCell((1, SUBJECTS), [self._subject(subject, seconds) for subject in range(1, SUBJECTS + 1)]),
            "EEG_SamplingRate": SAMPLING_RATE,
            "ECG_SamplingRate": _ECG_PER_EEG * SAMPLING_RATE,
            "EEG_Electrodes": MatlabCell((1, len(CHANNELS)), CHANNELS),
            "noOfSubjects": float(SUBJECTS),
            "noOfVideoSequences": float(CLIPS),
            "Disclaimer": "Made up by scmmlab in the format of DREAMER; no one was recorded.",
            "Provider": "scmmlab",
            "Version": "1.0.0",
            "Acknowledgement": "None.",
        }
        write_nested(out / FILE, VARIABLE, content)
        yield out / FILE

    def _subject(self, subject: int, seconds: NDArray[np.int64]) -> dict[str, Value]:
        brain = Brain(self.name, CHANNELS, subject, self.seed)
        rng = named_generator(f"fake {self.name} {self.seed} subject {subject} scores")
        scales = ("Valence", "Arousal", "Dominance")
        scores = {scale: rng.integers(1, 6, (CLIPS, 1)).astype(np.float64) for scale in scales}
        eeg: dict[str, list[Value]] = {"baseline": [], "stimuli": []}
        ecg: dict[str, list[Value]] = {"baseline": [], "stimuli": []}
        for clip in range(CLIPS):
            states = {
                f"{'high' if scores[scale][clip, 0] >= 3 else 'low'} {scale.lower()}": 1.0
                for scale in ("Valence", "Arousal")
            }
            length = int(seconds[clip] * SAMPLING_RATE)
            # a baseline is a trial of its own, about nothing
            parts = {"baseline": (CLIPS + clip + 1, {}, BASELINE_SAMPLES), "stimuli": (clip + 1, states, length)}
            for part, (number, about, samples) in parts.items():
                make = partial(_eeg, brain, number, about, samples)
                eeg[part].append(Later((samples, len(CHANNELS)), make))
                beats = _ECG_PER_EEG * samples
                ecg[part].append(Later((beats, 2), partial(_ecg, f"{self.seed} {subject} {number}", beats)))
        return {
            "Age": str(rng.integers(22, 34)),
            "Gender": "female" if rng.random() < 0.4 else "male",
            "EEG": {part: MatlabCell((CLIPS, 1), arrays) for part, arrays in eeg.items()},
            "ECG": {part: MatlabCell((CLIPS, 1), arrays) for part, arrays in ecg.items()},
            **{f"Score{scale}": values for scale, values in scores.items()},
        }


def _eeg(brain: Brain, number: int, about: Mapping[str, float], samples: int) -> NDArray[np.float64]:
    signal_TC = _HEADSET_UV + brain.signal(1, number, about, samples, SAMPLING_RATE).T
    stored: NDArray[np.float64] = np.round(signal_TC / _RESOLUTION_UV) * _RESOLUTION_UV
    return stored


def _ecg(name: str, samples: int) -> NDArray[np.float64]:
    stored: NDArray[np.float64] = np.round(named_generator(f"fake ecg {name}").normal(2000, 20, (samples, 2)))
    return stored
