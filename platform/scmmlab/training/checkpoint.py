"""One replica's training on its way, as bytes: safetensors, with a JSON state and a digest in its header.

A checkpoint knows nothing of the pack that its replica trained in, so any pack can go on with it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from scmmlab.config.code_digest import NUMERICS_VERSION
from scmmlab.methods.contract import Checkpoint
from scmmlab.replica.shortage import drop_frames, out_of_memory
from scmmlab.training.reporter import Reporter

FORMAT = 1
_HEADER = "scmmlab"

logger = logging.getLogger(__name__)


def to_bytes(checkpoint: Checkpoint, key: str, stage: str) -> bytes:
    """`checkpoint` of (`key`, `stage`) as bytes that :func:`from_bytes` reads.

    Raises
    ------
    MemoryError
        If there is no memory for them.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    header = {
        "format": FORMAT,
        "numerics": NUMERICS_VERSION,
        "key": key,
        "stage": stage,
        "epoch": checkpoint.epoch,
        "state": checkpoint.state,
    }
    header["digest"] = _digest(header, tensors)
    try:
        return safetensors.torch.save(tensors, metadata={_HEADER: json.dumps(header)})
    except BaseException as error:
        # without memory safetensors panics, in its own language's words and as no Exception
        if type(error).__name__ == "PanicException":
            raise MemoryError(f"There is no memory for a checkpoint of {key} ({stage}).") from error
        raise


def save_if_memory_allows(make: Callable[[], Checkpoint], key: str, stage: str, reporter: Reporter) -> None:
    """Hand the checkpoint that `make` makes to `reporter`; without memory for it, an older one has to do."""
    try:
        data = to_bytes(make(), key, stage)
    except Exception as error:
        if not out_of_memory(error):
            raise
        drop_frames(error)
        logger.warning("There was no memory for a checkpoint of %s (%s); the one before it stays.", key, stage)
        return
    reporter.save_checkpoint(key, stage, data)


def from_bytes(data: bytes | None, key: str, stage: str, expected: Mapping[str, Tensor]) -> Checkpoint | None:
    """The checkpoint in `data`, or None where there is none that can be used.

    A damaged checkpoint, one of another key, stage or version, or one whose tensors have not the names, shapes and
    types of `expected` is left alone with a warning: the training then starts from its beginning.

    Parameters
    ----------
    data : bytes | None
        What :func:`to_bytes` made.
    key, stage : str
        Whose checkpoint it should be.
    expected : mapping of str to Tensor
        Tensors like those that the training would save.
    """
    if data is None:
        return None
    try:
        header = _header(data)
        tensors = safetensors.torch.load(data)
        found = {name: header[name] for name in ("format", "numerics", "key", "stage")}
        wanted = {"format": FORMAT, "numerics": NUMERICS_VERSION, "key": key, "stage": stage}
        reason = ""
        if found != wanted:
            reason = f"it is of {found}, expected {wanted}"
        elif header.pop("digest") != _digest(header, tensors):
            reason = "its contents do not match its digest"
        elif _layout(tensors) != _layout(expected):
            reason = "its tensors are not those of this training"
        else:
            return Checkpoint(epoch=int(header["epoch"]), tensors=tensors, state=dict(header["state"]))
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it is damaged ({type(error).__name__}: {error})"
    logger.warning("The checkpoint of %s (%s) is not used: %s; this training starts again.", key, stage, reason)
    return None


def _header(data: bytes) -> dict[str, Any]:
    # safetensors opens with the length of its JSON header (8 bytes, little-endian), then the header itself
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_HEADER]))


def _digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _layout(tensors: Mapping[str, Tensor]) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
