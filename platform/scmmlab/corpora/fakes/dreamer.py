"""A fake of DREAMER.mat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.io
from pydantic import Field

from scmmlab.corpora.dreamer_file import BASELINE_SAMPLES, CHANNELS, CLIPS, FILE, SAMPLING_RATE, SUBJECTS, VARIABLE
from scmmlab.corpora.fakes.brain import Brain
from scmmlab.corpora.fakes.fake_corpus import FakeCorpus
from scmmlab.corpora.synthetic import named_generator

_HEADSET_UV, _RESOLUTION_UV = 4200.0, 0.51
_ECG_RATE = 256


class DreamerFake(FakeCorpus):
    """All subjects have all clips, since one file holds them: the reader takes nothing less.

    It is put together in memory. With `small`, where clips are as short as the reader takes, that takes 2.3 GB, and the
    file has 180 MB; without it, about twice as much.
    """

    name: ClassVar[str] = "dreamer"
    summary: ClassVar[str] = FILE

    subjects: int = Field(SUBJECTS, ge=SUBJECTS, le=SUBJECTS)
    """All 23."""

    def write(self, out: Path) -> Iterator[Path]:
        """The one file."""
        clips = named_generator(f"fake {self.name} {self.seed} clips")
        # from 65 to 393 s, and short ones more often
        seconds = np.full(CLIPS, 60) if self.small else (65 + 329 * clips.random(CLIPS) ** 4).astype(int)
        data = np.empty((1, SUBJECTS), object)
        for subject in range(1, SUBJECTS + 1):
            data[0, subject - 1] = self._subject(subject, seconds)
        content = {
            "Data": data,
            "EEG_SamplingRate": SAMPLING_RATE,
            "ECG_SamplingRate": float(_ECG_RATE),
            "EEG_Electrodes": np.array([CHANNELS], object),
            "noOfSubjects": float(SUBJECTS),
            "noOfVideoSequences": float(CLIPS),
            "Disclaimer": "Made up by scmmlab in the format of DREAMER; no one was recorded.",
        }
        scipy.io.savemat(out / FILE, {VARIABLE: content}, do_compression=True)
        yield out / FILE

    def _subject(self, subject: int, seconds: np.ndarray) -> dict[str, object]:
        brain = Brain(self.name, CHANNELS, subject, self.seed)
        rng = named_generator(f"fake {self.name} {self.seed} subject {subject} scores")
        scores = {scale: rng.integers(1, 6, (CLIPS, 1)).astype(float) for scale in ("Valence", "Arousal", "Dominance")}
        eeg, ecg = ({"baseline": np.empty((CLIPS, 1), object), "stimuli": np.empty((CLIPS, 1), object)} for _ in "ab")
        for clip in range(CLIPS):
            states = {
                f"{'high' if scores[scale][clip, 0] >= 3 else 'low'} {scale.lower()}": 1.0
                for scale in ("Valence", "Arousal")
            }
            samples = {"baseline": BASELINE_SAMPLES, "stimuli": int(seconds[clip] * SAMPLING_RATE)}
            for part, count in samples.items():
                # a baseline is a trial of its own, about nothing
                number, about = (clip + 1, states) if part == "stimuli" else (CLIPS + clip + 1, {})
                signal_CT = brain.signal(1, number, about, count, SAMPLING_RATE)
                eeg[part][clip, 0] = np.round((_HEADSET_UV + signal_CT.T) / _RESOLUTION_UV) * _RESOLUTION_UV
                ecg[part][clip, 0] = np.round(rng.normal(2000, 20, (2 * count, 2)))
        return {
            "Age": str(rng.integers(22, 34)),
            "Gender": "female" if rng.random() < 0.4 else "male",
            "EEG": eeg,
            "ECG": ecg,
            **{f"Score{scale}": values for scale, values in scores.items()},
        }
