"""EEGLAB files: whether they are whole, and which file has the signal."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from scmmlab.corpora.lab.matlab_structs import check_structs
from scmmlab.corpora.matlab import open_matlab
from scmmlab.corpora.opening import open_below
from scmmlab.errors import CorpusError

_SAMPLE_BYTES = 4
"""A `.fdt` has nothing but samples of 32 bits."""


def eeglab_parts(root: Path, file: str) -> tuple[str, ...]:
    """The `.fdt` of the same name, relative to the root, where there is one.

    Raises
    ------
    CorpusError
        If the file is damaged, or of MATLAB 7.3, which MNE reads with another package.
    """
    version = open_matlab(root / file).version
    if version == "5":
        check_structs(root / file)
    elif find_spec("pymatreader") is None:
        raise CorpusError(
            f"'{root / file}' cannot be read: expected an EEGLAB file of MATLAB 7 or older, or the package "
            "pymatreader, found one of MATLAB 7.3.",
            "pip install pymatreader, or save the file in EEGLAB without the option for files above 2 GB.",
        )
    data = str(Path(file).with_suffix(".fdt"))
    return (data,) if open_below(root, data).is_file() else ()


def check_data_size(root: Path, file: str, channels: int, samples: int) -> None:
    """Raise a `CorpusError` where there is a `.fdt` that holds more or less than its header says."""
    data = (root / file).with_suffix(".fdt")
    expected = _SAMPLE_BYTES * channels * samples
    if file.lower().endswith(".set") and data.is_file() and data.stat().st_size != expected:
        raise CorpusError(
            f"'{data}' does not fit '{root / file}': expected {expected} bytes for {channels} channels and {samples} "
            f"samples, found {data.stat().st_size} bytes.",
            "copy both files again.",
        )


def eeglab_channels(path: Path) -> list[tuple[str, str, str]]:
    """Label, type and unit of each channel, as far as a file states them; none where it names no channels.

    Raises
    ------
    Exception
        Of any kind, where the file is not what it seems.
    """
    content: dict[str, Any]
    if open_matlab(path).version == "5":
        # SciPy's readers take half a second to import
        from scipy.io import loadmat

        # newer versions of EEGLAB save the fields as variables; else the signal has to be read with the struct
        content = loadmat(path, variable_names=["chanlocs"], simplify_cells=True)
        if "chanlocs" not in content:
            content = loadmat(path, variable_names=["EEG"], simplify_cells=True).get("EEG", {})
    else:
        content = import_module("pymatreader").read_mat(path, ignore_fields=["data"])
        content = content.get("EEG", content)
    places = content.get("chanlocs", [])
    if isinstance(places, dict):
        columns = {key: np.atleast_1d(value) for key, value in places.items()}
        count = len(columns.get("labels", ()))
        places = [{key: values[i] for key, values in columns.items() if len(values) == count} for i in range(count)]
    return [(_text(place, "labels"), _text(place, "type"), _text(place, "unit")) for place in places]


def _text(place: dict[str, Any], key: str) -> str:
    value = place.get(key, "")
    return value.strip() if isinstance(value, str) else ""
