"""The result store: one immutable object for each finished stage, under its key. It is the truth about a study.

pretrain/KEY.safetensors    encoder, and the record of its training
finetune/KEY.safetensors    test logits without labels, and the record of the training
cells/KEY.json              the evaluate stage's record: folds, figures, curves
failures/KEY.json           why a stage came to nothing, and how often it was tried
checkpoints/KEY.STAGE       latest checkpoint of a training that is not finished
studies/NAME/               spec.yaml, plan.json, identity.json, trials/ of a sweep; report and MLflow's data too
tmp/                        files on their way
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from pyarrow import fs

from scmmlab.errors import FailureCause, StoreError
from scmmlab.study.files import Files, UnreadableError
from scmmlab.study.folder import StudyFolder
from scmmlab.study.objects import (
    DamagedError,
    Record,
    StoredObject,
    from_json,
    from_safetensors,
    to_json,
    to_safetensors,
)
from scmmlab.study.retry import RETRY_S

_log = logging.getLogger(__name__)

ObjectKind = Literal["pretrain", "finetune", "cells", "failures"]

_SUFFIX: dict[ObjectKind, str] = {
    "pretrain": ".safetensors",
    "finetune": ".safetensors",
    "cells": ".json",
    "failures": ".json",
}
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Failure:
    """Why a stage came to nothing."""

    stage: str
    """`pretrain`, `finetune`, `evaluate` or `sweep`."""
    error: str
    """One line."""
    traceback: str
    """The trace; empty where the error explains itself."""
    attempts: int
    """Times that it was tried."""
    cause: FailureCause = "error"
    """What it was."""
    log: str | None = None
    """Where the log of the process is that it happened in, if it was another than the driver's."""


class ResultStore:
    """Results on any filesystem that pyarrow knows: a folder, `s3://…`, `gs://…`.

    Objects are written whole or not at all, never changed, and checked when they are read: one that is not what was
    written, or cannot be read, is renamed to `….damaged`, reported by a warning, and counts as missing.

    Parameters
    ----------
    uri : str or path
        Where it is; made when something is written.
    filesystem : pyarrow.fs.FileSystem | None
        For a filesystem without a URI.
    retry_s : float
        Time limit for retries of a filesystem that worked before.

    Raises
    ------
    StoreError
        From every method, if the filesystem cannot be read or written.
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] = "runs",
        filesystem: fs.FileSystem | None = None,
        retry_s: float = RETRY_S,
    ):
        self._files = Files(uri, filesystem, retry_s)

    def __repr__(self) -> str:
        return f"ResultStore({self.uri!r})"

    @property
    def uri(self) -> str:
        """Where the store is, for people: without credentials and parameters of the filesystem."""
        return self._files.uri

    # --- objects

    def has(self, kind: ObjectKind, key: str) -> bool:
        """Whether there is such an object (which may be damaged: `get_…` knows)."""
        return self._files.exists(_name(kind, key))

    def keys(self, kind: ObjectKind) -> frozenset[str]:
        """Keys of all objects of a kind, by one listing."""
        suffix = _SUFFIX[kind]
        return frozenset(name.removesuffix(suffix) for name in self._files.names(kind) if name.endswith(suffix))

    def put_pretrain(self, key: str, record: Record, tensors: Mapping[str, np.ndarray]) -> None:
        """Keep the outcome of a pre-train stage, and forget its checkpoints and failures."""
        self._put("pretrain", key, to_safetensors("pretrain", key, record, tensors))
        self._finished(key)

    def get_pretrain(self, key: str) -> StoredObject | None:
        """The outcome of a pre-train stage, or None where it is missing or damaged."""
        return self._get("pretrain", key)

    def put_finetune(self, key: str, record: Record, tensors: Mapping[str, np.ndarray]) -> None:
        """Keep the outcome of a cell's fine-tuning, and forget its checkpoints."""
        self._put("finetune", key, to_safetensors("finetune", key, record, tensors))
        self.delete_checkpoints(key)

    def get_finetune(self, key: str) -> StoredObject | None:
        """The outcome of a cell's fine-tuning, or None where it is missing or damaged."""
        return self._get("finetune", key)

    def put_cell(self, key: str, record: Record) -> None:
        """Keep the record of a finished cell, and forget its failures."""
        self._put("cells", key, to_json("cells", key, record))
        self._finished(key)

    def get_cell(self, key: str) -> Record | None:
        """The record of a finished cell, or None where it is missing or damaged."""
        found = self._get("cells", key)
        return found.record if found else None

    # --- failures

    def put_failure(
        self,
        key: str,
        stage: str,
        error: str,
        traceback: str = "",
        cause: FailureCause = "error",
        log: str | None = None,
    ) -> Failure:
        """Note that the stage of `key` came to nothing, once more."""
        before = self.failure(key)
        failure = Failure(stage, error, traceback, before.attempts + 1 if before else 1, cause, log)
        self._files.write(_name("failures", key), to_json("failures", key, asdict(failure)))
        return failure

    def failure(self, key: str) -> Failure | None:
        """Why the stage of `key` came to nothing, or None where it has not."""
        found = self._get("failures", key)
        return Failure(**found.record) if found else None

    # --- checkpoints

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Keep the latest checkpoint of a training, in place of the one before."""
        self._files.write(_checkpoint(key, stage), hashlib.sha256(data).digest() + data)

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The latest checkpoint of a training, or None where there is none, or it is damaged."""
        name = _checkpoint(key, stage)
        data = self._read(name)
        if data is None:
            return None
        digest, data = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != digest:
            self._set_aside(name, "its checksum does not match")
            return None
        return data

    def delete_checkpoints(self, key: str) -> None:
        """Forget the checkpoints of all stages of `key`."""
        for name in sorted(self._files.written("checkpoints")):
            if name.startswith(f"{key}."):
                self._files.delete(f"checkpoints/{name}")

    # --- studies

    def last_written(self, keys: Collection[str]) -> float | None:
        """When a result or checkpoint of any of the stages `keys` was written last; None where there is none.

        In s by the store's clock; it is later than before whenever more is kept.
        """
        written = [
            time
            for folder in ("pretrain", "finetune", "cells", "checkpoints")
            for name, time in self._files.written(folder).items()
            if name.partition(".")[0] in keys
        ]
        return max(written, default=None)

    def last_checkpoint(self, stage: str) -> float | None:
        """When a checkpoint of such a stage, of whatever key, was written last; likewise."""
        written = self._files.written("checkpoints").items()
        return max((time for name, time in written if name.endswith(f".{stage}")), default=None)

    def study_folder(self, name: str) -> StudyFolder:
        """What belongs to one study: its spec, plan and sweep trials, and a place for its report."""
        return StudyFolder(self._files, name, self._set_aside)

    # --- how

    def _put(self, kind: ObjectKind, key: str, data: bytes) -> None:
        if self._get(kind, key) is None:  # what is there and whole stays as it is
            self._files.write(_name(kind, key), data)

    def _get(self, kind: ObjectKind, key: str) -> StoredObject | None:
        name = _name(kind, key)
        data = self._read(name)
        if data is None:
            return None
        read: Callable[[str, str, bytes], StoredObject] = from_json if name.endswith(".json") else from_safetensors
        try:
            return read(kind, key, data)
        except DamagedError as error:
            self._set_aside(name, str(error))
            return None

    def _read(self, name: str) -> bytes | None:
        try:
            return self._files.read(name)
        except UnreadableError as error:
            self._set_aside(name, error.reason)
            return None

    def _set_aside(self, name: str, reason: str) -> None:
        try:
            aside = self._files.set_aside(name)
        except StoreError as error:  # who may only read can still be told what is there
            _log.warning("%s/%s is damaged: %s. It counts as missing. %s", self.uri, name, reason, error.message)
            return
        _log.warning(
            "%s/%s is damaged: %s. It was renamed to %s and counts as missing.",
            self.uri,
            name,
            reason,
            aside.rpartition("/")[2],
        )

    def _finished(self, key: str) -> None:
        self._files.delete(_name("failures", key))
        self.delete_checkpoints(key)


def _name(kind: ObjectKind, key: str) -> str:
    assert re.fullmatch(r"[\w\-]+", key), f"not a key: {key!r}"
    return f"{kind}/{key}{_SUFFIX[kind]}"


def _checkpoint(key: str, stage: str) -> str:
    assert re.fullmatch(r"[\w\-]+", key), f"not a key: {key!r}"
    assert re.fullmatch(r"[\w\-]+", stage), f"not a stage: {stage!r}"
    return f"checkpoints/{key}.{stage}"
