"""How an object of the store is written: a record as JSON, with arrays as safetensors, and a checksum over both.

What is read is what was written, or it is refused: the checksum covers kind, key, record and every array. Nothing is
ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from scmmlab.config import canonical_json
from scmmlab.errors import first_line

Record = dict[str, Any]
Arrays = dict[str, np.ndarray]

_HEADER_LENGTH_BYTES = 8


@dataclass(frozen=True)
class StoredObject:
    """A record and its arrays."""

    record: Record
    """JSON-able."""
    tensors: Arrays = field(default_factory=dict)
    """Arrays by name."""


class DamagedError(Exception):
    """Bytes that are not what was written; the message says why."""


def to_json(kind: str, key: str, record: Record) -> bytes:
    """A record alone, as JSON for people and programs. A number that is not finite becomes null."""
    record = plain(record)
    document = {"kind": kind, "key": key, "sha256": _checksum(kind, key, record, {}), "record": record}
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def from_json(kind: str, key: str, data: bytes) -> StoredObject:
    """Read back what `to_json` wrote.

    Raises
    ------
    DamagedError
        If it is not that, or was written as another kind or key.
    """
    try:
        document = json.loads(data)
        record, written = document["record"], document["sha256"]
        computed = _checksum(kind, key, record, {})
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"it is not a record ({first_line(error)})") from None
    if computed != written:
        raise DamagedError("its checksum does not match")
    return StoredObject(record)


def to_safetensors(kind: str, key: str, record: Record, tensors: Mapping[str, np.ndarray]) -> bytes:
    """A record and arrays in one safetensors file, the record in its metadata."""
    record = plain(record)
    # save() takes the bytes of a transposed view in the wrong order
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    metadata = {
        "kind": kind,
        "key": key,
        "sha256": _checksum(kind, key, record, arrays),
        "record": json.dumps(record, ensure_ascii=False, allow_nan=False),
    }
    data: bytes = save(arrays, metadata=metadata)
    return data


def from_safetensors(kind: str, key: str, data: bytes) -> StoredObject:
    """Read back what `to_safetensors` wrote.

    Raises
    ------
    DamagedError
        If it is not that, or was written as another kind or key.
    """
    try:
        # the format opens with the length of its JSON header, which holds our metadata; the library reads the rest
        length = int.from_bytes(data[:_HEADER_LENGTH_BYTES], "little")
        metadata = json.loads(data[_HEADER_LENGTH_BYTES : _HEADER_LENGTH_BYTES + length])["__metadata__"]
        record = json.loads(metadata["record"])
        tensors = load(data)
        computed = _checksum(kind, key, record, tensors)
        written = metadata["sha256"]
    except (ValueError, KeyError, TypeError, OverflowError, SafetensorError) as error:
        raise DamagedError(f"it is not a safetensors file of ours ({first_line(error)})") from None
    if computed != written:
        raise DamagedError("its checksum does not match")
    return StoredObject(record, tensors)


def plain(value: Any) -> Any:
    """`value` with keys as text, tuples as lists, NumPy's numbers as Python's, and null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _checksum(kind: str, key: str, record: Record, tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    shapes = {name: [array.dtype.str, list(array.shape)] for name, array in tensors.items()}
    digest.update(canonical_json([kind, key, record, shapes]).encode())
    for name in sorted(tensors):
        digest.update(np.asarray(tensors[name], order="C").tobytes())
    return digest.hexdigest()
