"""What must hold of a study that was struck: nothing twice, nothing lost, and the digits of one that was left alone."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scmmlab.study.files import Files

KINDS = ("pretrain", "finetune", "cells")
IN_TRANSIT_S = 1.0
"""News are gathered, sent and written for so long, on a busy machine."""


class StoreWatch:
    """Looks at the objects of a store again and again: what is written stays as it is.

    Parameters
    ----------
    uri : str
        The store.
    name : str
        The study.
    """

    def __init__(self, uri: str, name: str):
        self._files = Files(uri)
        self._folders = (*KINDS, f"studies/{name}/trials")
        self._claims = f"studies/{name}/claims"
        self._seen: dict[str, tuple[object, str]] = {}
        self._claimed: set[str] = set()

    @property
    def claims(self) -> int:
        """Drivers that have claimed the study so far."""
        self._claimed.update(self._files.names(self._claims))
        return len(self._claimed)

    def look(self) -> set[str]:
        """Names of the objects that are there, none of which has been written again, or is gone."""
        found = {
            f"{folder}/{file}": self._stamp(f"{folder}/{file}", written)
            for folder in self._folders
            for file, written in self._files.written(folder).items()
        }
        gone = self._seen.keys() - found.keys()
        assert not gone, f"objects are gone: {sorted(gone)}"
        for name, stamp in found.items():
            if name not in self._seen:
                self._seen[name] = stamp, self._digest(name)
            assert self._seen[name][0] == stamp, f"{name} was written again"
        damaged = [name for name in found if name.endswith(".damaged")]
        assert not damaged, f"damaged objects: {damaged}"
        return set(found)

    def last_look(self) -> int:
        """At the end: objects have the content that they had when they were first seen, and nothing lies about.

        Returns how many objects there are.
        """
        found = self.look()
        for name in found:
            assert self._digest(name) == self._seen[name][1], f"{name} has another content"
        for folder in ("failures", "checkpoints"):
            assert not self._files.names(folder), f"left in {folder}: {self._files.names(folder)}"
        return len(found)

    def _stamp(self, name: str, written: float) -> object:
        local = self._files.local
        return (written, os.stat(local / name).st_ino) if local else written

    def _digest(self, name: str) -> str:
        data = self._files.read(name)
        assert data is not None, f"{name} is gone"
        return hashlib.sha256(data).hexdigest()


def object_of(key: str, objects: Iterable[str]) -> bool:
    """Whether what a task with `key` is for is among `objects`."""
    number = key.rpartition("-")[2]
    names = {f"pretrain/{key}.safetensors", f"finetune/{key}.safetensors"}
    return any(name in names or (number.isdigit() and name.endswith(f"/{int(number):05d}.json")) for name in objects)


def check_finished_once(lives: list[list[dict[str, Any]]], there: list[set[str]], sweep: bool) -> None:
    """What was in the store when a life began is not begun in it, and what has ended well ends no second time.

    Parameters
    ----------
    lives : list of list of dict
        Notes of each.
    there : list of set of str
        Objects at the beginning of each.
    sweep : bool
        The record of a setting is written after its training has ended, so a kill between the two repeats the end.
    """
    for notes, objects in zip(lives, there, strict=True):
        again = {key for note in notes if note["what"] == "started" for key in note["keys"] if object_of(key, objects)}
        assert not again, f"begun once more, though they are in the store: {sorted(again)}"
    ends = Counter(key for notes in lives for note in notes if note["what"] == "ended" for key in note["keys"])
    allowed = len(lives) if sweep else 1
    twice = {key: times for key, times in ends.items() if times > allowed}
    assert not twice, f"ended more than once: {twice}"


def repeated_epochs(
    lives: list[list[dict[str, Any]]], checkpoint_every: int, checkpoint_s: float, report_every: int = 1
) -> int:
    """Epochs that were done twice, of which there are no more than between two checkpoints for each interruption.

    A checkpoint is made every `checkpoint_every` epochs and passes when the last one is `checkpoint_s` old; so what
    may be lost are so many epochs, and those of the last `checkpoint_s`.
    """
    told: dict[tuple[str, str], list[tuple[float, int]]] = {}
    kept: dict[tuple[str, str], int] = {}
    repeated = 0
    for note in (note for notes in lives for note in notes):
        place = (note.get("key", ""), note.get("stage", ""))
        if note["what"] == "kept":
            kept[place] = note["epoch"]
        elif note["what"] == "epoch":
            before = told.setdefault(place, [])
            last = before[-1][1] if before else 0
            if before and note["epoch"] <= last:
                # a setting's probes are told once more from the first, however late it goes on
                begin = kept.get(place, 0) if note["stage"] == "probe" else note["epoch"] - 1
                recent = sum(at > before[-1][0] - checkpoint_s - IN_TRANSIT_S for at, _ in before)
                allowed = checkpoint_every + report_every * recent
                again = max(0, last - begin)
                assert again <= allowed, (
                    f"{again} epochs of {place} were done twice (from {begin} on, after {last}); {allowed} may be: a "
                    f"checkpoint every {checkpoint_every} epochs, and {recent} reports within {checkpoint_s:g} s"
                )
                repeated += again
                before[:] = [(at, epoch) for at, epoch in before if epoch <= begin]
                if note["epoch"] <= begin:
                    continue
            before.append((note["at"], note["epoch"]))
    return repeated


def check_mlflow(uri: str, study: str, epochs: Mapping[str, int]) -> int:
    """One run for each cell or setting, and one of the study, all finished, with each epoch once; how many there are.

    Parameters
    ----------
    uri : str
        Of MLflow.
    study : str
        Its experiment.
    epochs : mapping of str to int
        Epochs of each stage that is shown, such as ``pretrain``.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None, f"MLflow has no experiment {study!r}"
    runs = client.search_runs([experiment.experiment_id])
    names = Counter((run.data.tags.get("scmmlab.cell_key"), run.info.run_name) for run in runs)
    assert max(names.values()) == 1, f"runs are there twice: {names}"
    open_ = [run.info.run_name for run in runs if run.info.status != "FINISHED"]
    assert not open_, f"runs that are not finished: {open_}"
    for run in runs:
        for metric in run.data.metrics:
            stage, _, figure = metric.partition("/")
            if figure in ("loss", "probe"):
                steps = Counter(point.step for point in client.get_metric_history(run.info.run_id, metric))
                assert max(steps.values()) == 1, f"epochs of {run.info.run_name} are there twice: {steps}"
                if stage in epochs:
                    missing = set(range(1, epochs[stage] + 1)) - steps.keys()
                    assert not missing, f"{run.info.run_name} lacks {metric} of {missing}"
    return len(runs)


def files_of(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
