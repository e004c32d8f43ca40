"""EEGLAB files: whether they are whole, and which file has the signal."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

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
