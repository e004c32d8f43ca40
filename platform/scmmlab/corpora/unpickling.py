"""Pickles and .npz files of arrays, read without ever running what they say (see `array_unpickler`)."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from scmmlab.corpora.array_unpickler import ArrayUnpickler, PickleRefusedError
from scmmlab.errors import CorpusError

MAX_PICKLE_BYTES = 2**29
"""Larger pickles are refused; the largest that is known, a subject of DEAP, has 103 MB. Reading takes thrice that."""
MAX_EXPANSION = 100
"""How many times larger than its file the content of a compressed .npz may be; EEG shrinks to a half at best."""

_HINT = "copy or download the file again; a pickle that holds anything but arrays is not opened."


def load_pickle_safely(path: Path) -> Any:
    """What a pickle of arrays holds (`.dat`, `.pkl`); strings of Python 2 are read as Latin-1.

    Parameters
    ----------
    path : Path
        A pickle of NumPy arrays, numbers, strings, lists, tuples and dictionaries.

    Raises
    ------
    CorpusError
        If it holds anything else, breaks off, claims more data than there are, or cannot be read. Nothing that it
        names is ever imported or called.
    """
    try:
        size = path.stat().st_size
        if size > MAX_PICKLE_BYTES:
            raise CorpusError(
                f"{path} is too large: expected a pickle of {MAX_PICKLE_BYTES} bytes at most, found {size}."
            )
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: expected a pickle of arrays, found {error.strerror}.") from error
    return unpickle_safely(data, str(path))


def unpickle_safely(data: bytes, where: str) -> Any:
    """What a pickle in memory holds; `where` names it in errors. See `load_pickle_safely`."""
    try:
        return ArrayUnpickler(data).load()
    except PickleRefusedError as error:
        raise CorpusError(f"{where} cannot be read: expected a pickle of arrays, found {error}.", _HINT) from error


def load_npz_safely(path: Path) -> dict[str, Any]:
    """What an .npz file holds, by name.

    A member that is an array of objects, or a single string of bytes that is itself a pickle (SEED-V's), is read as
    `load_pickle_safely` reads a file.

    Parameters
    ----------
    path : Path
        As `numpy.savez` or `numpy.savez_compressed` writes it.

    Raises
    ------
    CorpusError
        If it is damaged, claims more data than there are, or holds anything else than arrays.
    """
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            total = sum(member.file_size for member in archive.infolist())
            if total > MAX_EXPANSION * size:
                raise CorpusError(
                    f"{path} cannot be what it claims: expected at most {MAX_EXPANSION} times its {size} bytes, found "
                    f"members of {total} bytes."
                )
            return {
                member.filename.removesuffix(".npy"): _member(archive, member, f"{member.filename} in {path}")
                for member in archive.infolist()
            }
    except (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        found = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CorpusError(f"{path} cannot be read: expected arrays in .npz format, found {found}.") from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> Any:
    with archive.open(member) as stream:
        # one byte more than it claims, so that a member that is longer is known
        content = stream.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise CorpusError(f"{where} is damaged: expected {member.file_size} bytes, found {len(content)}.")
    return _npy(content, where)


def _npy(content: bytes, where: str) -> Any:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise CorpusError(f"{where} is of another format: expected .npy version 1.0 or 2.0, found {version}.")
    shape, fortran, dtype = read_header(stream)
    data = content[stream.tell() :]
    if dtype.hasobject:
        value = unpickle_safely(data, where)
        if not isinstance(value, np.ndarray) or value.shape != shape:
            raise CorpusError(f"The header of {where} is wrong: expected an array of shape {shape}, found another one.")
        return value
    needed = math.prod(shape) * dtype.itemsize
    if len(data) != needed:
        raise CorpusError(
            f"The header of {where} is wrong: expected {needed} bytes for shape {shape} of {dtype}, found {len(data)}."
        )
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C").copy()
    # numpy stores a bare string of bytes as an array without dimensions; a pickle of protocol 2 or later starts so
    if array.ndim == 0 and dtype.kind == "S" and array.item().startswith(b"\x80"):
        return unpickle_safely(array.item(), where)
    return array
