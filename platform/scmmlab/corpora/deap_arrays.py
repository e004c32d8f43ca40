"""The arrays of DEAP's preprocessed releases, Python's pickles and Matlab's files."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.deap_facts import SHAPE, VIDEOS
from scmmlab.corpora.matlab import open_matlab
from scmmlab.corpora.unpickling import load_pickle_safely
from scmmlab.errors import CorpusError

_SHAPES = {"data": SHAPE, "labels": (VIDEOS, 4)}


def read_arrays(path: Path) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """The signals and the ratings of a file, once they are what they should be.

    Returns
    -------
    signals : array, shape=(40, 40, 8064)
        In µV, by video and channel.
    scales : array, shape=(40, 4)
        Valence, arousal, dominance and liking of each video, 1 to 9.

    Raises
    ------
    CorpusError
        If something is missing, or of another shape, type or range.
    """
    content = _mat(path) if path.suffix == ".mat" else load_pickle_safely(path)
    if not isinstance(content, dict) or not _SHAPES.keys() <= content.keys():
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise CorpusError(f"{path} is not a file of DEAP: expected 'data' and 'labels', found {found}.")
    for name, shape in _SHAPES.items():
        array = content[name]
        is_array = isinstance(array, np.ndarray)
        if not is_array or array.shape != shape or array.dtype.kind != "f":
            _refuse(path, name, shape, f"{array.dtype} of {array.shape}" if is_array else type(array).__name__)
    scales = np.asarray(content["labels"], np.float64)
    wrong = np.argwhere(~((scales >= 1) & (scales <= 9)))
    if len(wrong):
        video, scale = wrong[0]
        raise CorpusError(
            f"A rating in {path} is out of range: expected 1 to 9, found {scales[video, scale]:g} for video "
            f"{video + 1}."
        )
    return content["data"], scales


def _mat(path: Path) -> dict[str, NDArray[np.float64]]:
    """What a file of the Matlab release holds, read once its header says that it is of the right size."""
    file = open_matlab(path)
    for name, shape in _SHAPES.items():
        variable = file.variables.get(name)
        if variable is None:
            return dict.fromkeys(file.variables, np.empty(0))
        if variable.shape != shape or variable.kind not in ("double", "single"):
            _refuse(path, name, shape, f"{variable.kind} of {variable.shape}")
    return {name: file.read(name) for name in _SHAPES}


def _refuse(path: Path, name: str, shape: tuple[int, ...], found: str) -> NoReturn:
    raise CorpusError(f"'{name}' in {path} has another shape or type: expected floats of {shape}, found {found}.")
