"""Fakes of DEAP's raw recordings, with both labs' channel orders and status channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora import deap_facts as facts
from scmmlab.corpora.fakes.bdf_files import MICROVOLTS_PER_STEP, write_bdf
from scmmlab.corpora.fakes.brain import Brain

_OTHERS = (*(f"EXG{number}" for number in range(1, 9)), "GSR1", "GSR2", "Erg1", "Erg2", "Resp", "Plet", "Temp")
"""Eyes, muscles, skin, breath, pulse, temperature and inputs that nothing is connected to."""
_RATE = int(facts.RAW_SAMPLING_RATE)
_PULSE = _RATE // 10
"""Samples for which a code stands."""
_FIXATION_S, _BEFORE_S, _END_S = 5, 20, 10
_AMPLIFIER, _UNCONNECTED = 0x100000, 0x18FF00
"""Bits of the status channel above the code: in Twente and s23, and in Geneva from s24 on."""
_START = 1


def raw_labels(subject: int) -> list[str]:
    """Names of the channels of a subject's recording, in their order."""
    order = facts.TWENTE_CHANNELS if subject <= facts.TWENTE_SUBJECTS else facts.CHANNELS
    status = ["Status"] if subject <= 23 else [""] if subject <= 28 else ["", ""]
    return [*order, *_OTHERS, *status]


def write_raw(
    path: Path,
    brain: Brain,
    subject: int,
    states: Sequence[Mapping[str, float]],
    starts: NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    """Write a subject's recording.

    Parameters
    ----------
    path : Path
        Where to.
    brain : Brain
        Whose channels are in Geneva's order.
    subject : int
        Its number, which says how the lab recorded it.
    states : sequence of dict
        What each trial is about, in the order of time.
    starts : array of int
        When each video begins, in s.
    rng : numpy.random.Generator
        Of what is no EEG.
    """
    labels = raw_labels(subject)
    offsets = rng.uniform(-8000, 8000, (len(labels) - 1, 1))
    ends = [*(starts[1:] - _FIXATION_S), starts[-1] + facts.VIDEO_S + _END_S]

    def whole() -> Iterator[NDArray[np.int32]]:
        first = int(starts[0]) - _FIXATION_S
        yield block(0, {}, first, {first - _BEFORE_S: _START})
        for trial, (state, start, end) in enumerate(zip(states, starts, ends, strict=True), start=1):
            codes = {0: facts.FIXATION, _FIXATION_S: facts.VIDEO, _FIXATION_S + facts.VIDEO_S: facts.AFTER}
            seconds = int(end - start) + _FIXATION_S
            if trial == len(states):
                codes[seconds - 1] = facts.END
            yield block(trial, state, seconds, codes)

    def block(trial: int, state: Mapping[str, float], seconds: int, codes: Mapping[int, int]) -> NDArray[np.int32]:
        signal_CT = brain.signal(1, trial, state, seconds * _RATE, _RATE)
        values_CT = rng.normal(0, 20, (len(labels), seconds * _RATE))
        for row, label in enumerate(labels[: len(facts.CHANNELS)]):
            values_CT[row] = signal_CT[facts.CHANNELS.index(label)]
        # without a reference, what all electrodes pick up together is larger than EEG
        values_CT += 100 * np.sin(2 * np.pi * 50 * np.arange(seconds * _RATE) / _RATE) + rng.normal(
            0, 30, seconds * _RATE
        )
        values_CT[:-1] += offsets
        stored_CT = np.round(values_CT / MICROVOLTS_PER_STEP).astype(np.int32)
        stored_CT[-1] = _UNCONNECTED if subject >= 24 else _AMPLIFIER
        for second, code in codes.items():
            stored_CT[-1, second * _RATE : second * _RATE + _PULSE] |= code
        return stored_CT

    write_bdf(path, labels, whole(), _RATE)
