"""DREAMER.mat, subject by subject, each fact held against what is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.matlab_arrays import MatlabArray
from scmmlab.corpora.matlab_v5 import open_variable
from scmmlab.errors import CorpusError

FILE = "DREAMER.mat"
VARIABLE = "DREAMER"
CHANNELS = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
SUBJECTS = 23
CLIPS = 18
SAMPLING_RATE = 128.0
BASELINE_SAMPLES = 61 * 128
CLIP_SECONDS = (60, 400)
"""Between these the clips' lengths lie; the shortest that is known has 65 s, the longest 393 s."""
SCORES = {"ScoreValence": "valence", "ScoreArousal": "arousal", "ScoreDominance": "dominance"}
_MICROVOLTS = (0.1, 10_000.0)
"""Between these the standard deviation of a clip lies in µV, artefacts and all; in V it is a millionth."""


@dataclass(frozen=True, eq=False)
class DreamerSubject:
    """One subject.

    Parameters
    ----------
    stimuli : tuple of array, shape=(n_times, 14)
        The clips, in µV.
    scores : dict of str to array, shape=(18,)
        Valence, arousal and dominance of each clip, 1 to 5.
    """

    stimuli: tuple[NDArray[np.float64], ...]
    scores: dict[str, NDArray[np.float64]]


def read_subjects(path: Path) -> Iterator[DreamerSubject]:
    """The subjects in the order of the file, one in memory at a time (some 70 MB).

    The file is one compressed variable, which is unpacked once, from its beginning to its end; the electrodes' names
    and the sampling rate stand behind the subjects, and are checked when those have been read.

    Raises
    ------
    CorpusError
        If the file is damaged or not what it should be.
    """
    seen: set[str] = set()
    with open_variable(path, VARIABLE) as variable:
        for name, content in variable.fields():
            seen.add(name)
            if name == "Data":
                yield from _subjects(content)
            elif name == "EEG_SamplingRate":
                rate = _scalar(content)
                _expect(content, rate == SAMPLING_RATE, f"{SAMPLING_RATE:g} Hz", f"{rate:g} Hz")
            elif name == "EEG_Electrodes":
                names = tuple(cell.text() for cell in content.cells())
                _expect(content, names == CHANNELS, ", ".join(CHANNELS), ", ".join(names))
            elif name in ("noOfSubjects", "noOfVideoSequences"):
                known, found = SUBJECTS if name == "noOfSubjects" else CLIPS, _scalar(content)
                _expect(content, found == known, str(known), f"{found:g}")
        missing = [name for name in ("Data", "EEG_SamplingRate", "EEG_Electrodes") if name not in seen]
        _expect(variable, not missing, "Data, EEG_SamplingRate and EEG_Electrodes", f"no {', '.join(missing)}")


def _subjects(data: MatlabArray) -> Iterator[DreamerSubject]:
    _expect(data, sorted(data.shape) == [1, SUBJECTS], f"a cell of 1 x {SUBJECTS}", f"{data.kind} of {data.shape}")
    for content in data.cells():
        stimuli: tuple[NDArray[np.float64], ...] = ()
        scores = {}
        for name, field in content.fields():
            if name == "EEG":
                stimuli = _stimuli(field)
            elif name in SCORES:
                scores[SCORES[name]] = _scores(field)
        missing = [name for name in SCORES if SCORES[name] not in scores] + ([] if stimuli else ["EEG"])
        _expect(content, not missing, f"EEG, {', '.join(SCORES)}", f"no {', '.join(missing)}")
        yield DreamerSubject(stimuli, scores)


def _stimuli(eeg: MatlabArray) -> tuple[NDArray[np.float64], ...]:
    stimuli: list[NDArray[np.float64]] = []
    for name, field in eeg.fields():
        if name not in ("baseline", "stimuli"):
            continue
        _expect(field, sorted(field.shape) == [1, CLIPS], f"a cell of {CLIPS} x 1", f"{field.kind} of {field.shape}")
        for cell in field.cells():
            if name == "stimuli":
                stimuli.append(_signal(cell))
            else:
                _expect_shape(cell, cell.shape == (BASELINE_SAMPLES, len(CHANNELS)), f"({BASELINE_SAMPLES}, 14)")
    _expect(eeg, bool(stimuli), "stimuli", "none")
    return tuple(stimuli)


def _signal(cell: MatlabArray) -> NDArray[np.float64]:
    """A clip, once its header says that it is of the size of one."""
    shortest, longest = (int(seconds * SAMPLING_RATE) for seconds in CLIP_SECONDS)
    fits = len(cell.shape) == 2 and cell.shape[1] == len(CHANNELS) and shortest <= cell.shape[0] <= longest
    _expect_shape(cell, fits, f"({shortest} to {longest}, {len(CHANNELS)})")
    signal_TC = cell.numbers().astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        size = float(signal_TC.std(axis=0).max())
    # NaN passes here and is named with its channel and time by `Recording`
    low, high = _MICROVOLTS
    _expect(cell, not (size < low or size > high), f"{low:g} to {high:g} µV", f"a standard deviation of {size:.3g}")
    return signal_TC


def _scores(field: MatlabArray) -> NDArray[np.float64]:
    _expect_shape(field, sorted(field.shape) == [1, CLIPS], f"({CLIPS}, 1)")
    scores: NDArray[np.float64] = field.numbers().astype(np.float64).reshape(-1)
    wrong = scores[~((scores >= 1) & (scores <= 5))]
    _expect(field, not len(wrong), "scores of 1 to 5", f"{wrong[0]:g}" if len(wrong) else "")
    return scores


def _scalar(content: MatlabArray) -> float:
    _expect_shape(content, content.shape == (1, 1), "(1, 1)")
    return float(content.numbers().item())


def _expect_shape(content: MatlabArray, true: bool, expected: str) -> None:
    _expect(content, true, f"numbers of {expected}", f"{content.kind} of {content.shape}")


def _expect(content: MatlabArray, true: bool, expected: str, found: str) -> None:
    if not true:
        raise CorpusError(f"'{content.where}' in {content.path} is not DREAMER's: expected {expected}, found {found}.")
