"""Variables of SEED's MATLAB files, one a trial: found by their names' numbers, their axes told by size."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.finding import Finding
from scmmlab.corpora.matlab import MatlabFile
from scmmlab.corpora.seed_facts import BANDS, CHANNELS
from scmmlab.errors import CorpusError

_HINT = "copy the file again from the corpus as it was received"


def numbered(file: MatlabFile, pattern: str) -> dict[int, str]:
    """Variables whose names match `pattern` and end in a number, in the order of that number (2 before 10)."""
    found = {}
    for name in file.variables:
        match = re.fullmatch(rf"{pattern}(\d+)", name)
        if match:
            found[int(match[match.lastindex or 0])] = name
    return dict(sorted(found.items()))


def check_numbers(where: str, names: Mapping[int, str], trials: int, shown: str) -> Finding:
    """Whether each trial has its variable."""
    wanted = set(range(1, trials + 1))
    missing, strange = sorted(wanted - set(names)), sorted(set(names) - wanted)
    found = f"{len(names)} variables"
    if missing:
        found += f", none for trial {', '.join(map(str, missing))}"
    if strange:
        found += f", and {', '.join(names[number] for number in strange)}"
    return Finding(not missing and not strange, where, "trials", f"{shown}1 to {shown}{trials}", found, _HINT)


def check_prefix(where: str, names: Sequence[str], known: str | None) -> Finding:
    """Whether all raw variables begin with the subject's letters."""
    prefixes = sorted({name.rsplit("_eeg", 1)[0] for name in names})
    expected = f"'{known}_eeg' at the start of each" if known else "one start of all names"
    ok = prefixes == [known] if known else len(prefixes) == 1
    return Finding(ok, where, "names of variables", expected, " and ".join(f"'{p}_eeg'" for p in prefixes), _HINT)


def check_features(
    where: str, file: MatlabFile, names: Mapping[int, str], windows: Sequence[int | None], near: Sequence[float]
) -> Iterator[Finding]:
    """Whether each trial has channels, windows and bands, told by their sizes.

    Parameters
    ----------
    windows : sequence of int or None
        Windows of each trial; None where they are unconfirmed.
    near : sequence of float
        What an unconfirmed number of windows may differ from by one at most.
    """
    for number, name in names.items():
        variable = file.variables[name]
        expected_W = windows[number - 1]
        expected = f"(62, {expected_W if expected_W is not None else f'about {near[number - 1]:g}'}, 5) of numbers"
        axes = feature_axes(variable.shape)
        ok = axes is not None and variable.kind in ("double", "single")
        if ok and axes is not None:
            found_W = variable.shape[axes[0]]
            ok = found_W == expected_W if expected_W is not None else abs(found_W - near[number - 1]) <= 1
        yield Finding(ok, where, f"shape of {name}", expected, f"{variable.shape} of {variable.kind}", _HINT)


def feature_axes(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """The axes of windows, channels and bands; None where sizes do not tell."""
    if len(shape) != 3 or shape.count(len(CHANNELS)) != 1 or shape.count(len(BANDS)) != 1:
        return None
    channels, bands = shape.index(len(CHANNELS)), shape.index(len(BANDS))
    return 3 - channels - bands, channels, bands


def check_raw(
    where: str, file: MatlabFile, names: Mapping[int, str], fits: Callable[[int, int], bool], shown: Sequence[str]
) -> Iterator[Finding]:
    """Whether each trial has channels and as many samples as it lasts, in float64."""
    for number, name in names.items():
        variable = file.variables[name]
        shape = variable.shape
        ok = (
            len(shape) == 2
            and shape[0] == len(CHANNELS)
            and fits(number, shape[1])
            and variable.kind == "double"
        )  # fmt: skip
        expected = f"(62, {shown[number - 1]}) of double"
        yield Finding(ok, where, f"shape of {name}", expected, f"{shape} of {variable.kind}", _HINT)


def read_features(file: MatlabFile, name: str) -> NDArray[np.float32]:
    """The features of one trial, shape=(n_windows, n_channels, n_bands)."""
    values = file.read(name)
    axes = feature_axes(values.shape)
    if axes is None:
        raise CorpusError(
            f"'{file.path}' changed while it was read: expected {name} as its header says, found {values.shape}."
        )
    check_finite(file, name, values)
    return np.ascontiguousarray(values.transpose(axes), dtype=np.float32)


def read_raw(file: MatlabFile, name: str) -> NDArray[np.float64]:
    """The signal of one trial in µV, shape=(62, n_times)."""
    signal_CT = np.ascontiguousarray(file.read(name), dtype=np.float64)
    check_finite(file, name, signal_CT)
    # a median over channels, so that a loose electrode does not decide
    deviation = float(np.median(signal_CT.std(axis=1)))
    if not 0.05 < deviation < 5000:
        raise CorpusError(
            f"'{file.path}' is not in µV: expected a standard deviation between 0.05 and 5000 in {name}, found "
            f"{deviation:g}."
        )
    return signal_CT


def check_finite(file: MatlabFile, name: str, values: NDArray[Any]) -> None:
    """Raise a `CorpusError` where a value is NaN or infinite."""
    finite = np.isfinite(values)
    if not finite.all():
        first = tuple(np.argwhere(~finite)[0])
        at = tuple(int(place) + 1 for place in first)
        raise CorpusError(
            f"A value is not finite in '{file.path}': expected finite numbers, found {values[first]} at {name}{at}.",
            _HINT,
        )
