"""A study's folder in the store: what belongs to the study as a whole, and to no cell of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pyarrow import ArrowException, fs

from scmmlab.study.claims import Claims
from scmmlab.study.files import Files, UnreadableError
from scmmlab.study.objects import DamagedError, Record, from_json, to_json


class StudyFolder:
    """Files of one study; unlike objects they may be written again.

    Made by `ResultStore.study_folder`.
    """

    def __init__(self, files: Files, name: str, set_aside: Callable[[str, str], None]):
        assert re.fullmatch(r"[\w\-]+", name), f"not a study's name: {name!r}"
        self._files = files
        self._set_aside = set_aside
        self._name = f"studies/{name}"

    @property
    def uri(self) -> str:
        """Where the folder is."""
        return f"{self._files.uri.rstrip('/')}/{self._name}"

    @property
    def local(self) -> Path | None:
        """The folder on this machine, made if need be; None where the store is elsewhere."""
        if self._files.local is None:
            return None
        folder = self._files.local / self._name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def place(self) -> str:
        """Where the folder is, by whichever path it was reached: such as `s3:bucket/runs/studies/x`."""
        root = self._files.root if self._files.local is None else self._files.local.resolve()
        return f"{self._files.filesystem.type_name}:{root}/{self._name}"

    def text_elsewhere(self, place: str, name: str) -> str | None:
        """The content of a file in another study's folder; None where there is none, or it cannot be seen from here.

        Parameters
        ----------
        place : str
            Of the other; None is returned where it is this folder by another path.
        name : str
            Of the file.
        """
        kind, _, path = place.partition(":")
        with suppress(ArrowException, OSError, ValueError):
            if kind == fs.LocalFileSystem().type_name:
                here = self._files.local and self._files.local / self._name
                if here is None or not here.samefile(path):
                    return Path(path, name).read_text(encoding="utf-8")
            elif kind == self._files.filesystem.type_name:
                with self._files.filesystem.open_input_stream(f"{path}/{name}") as stream:
                    return bytes(stream.readall()).decode()
        return None

    def write_text(self, name: str, text: str) -> None:
        """Write a file, such as `spec.yaml`."""
        self.write_bytes(name, text.encode())

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file, such as a figure of the report."""
        self._files.write(f"{self._name}/{name}", data)

    def read_text(self, name: str) -> str | None:
        """The content of a file, or None where there is none."""
        data = self._files.read(f"{self._name}/{name}")
        return None if data is None else data.decode()

    def has(self, name: str) -> bool:
        """Whether there is a file, such as `mlflow.db`; unlike `local`, makes nothing."""
        return self._files.exists(f"{self._name}/{name}")

    def claims(self, hurried: bool = False) -> Claims:
        """Claims of drivers on the study; `hurried`: without retries."""
        return Claims(self._files.hurried() if hurried else self._files, f"{self._name}/claims")

    def put_trial(self, trial: str, record: Record) -> None:
        """Keep what is known of a sweep's tune_trial, in place of what was known before."""
        self._files.write(self._trial(trial), to_json("trial", trial, record))

    def trials(self) -> dict[str, Record]:
        """Records of a sweep's tune_trials by name, sorted; damaged ones are set aside."""
        found: dict[str, Record] = {}
        for file in self._files.names(f"{self._name}/trials"):
            if not file.endswith(".json"):
                continue
            trial = file.removesuffix(".json")
            try:
                data = self._files.read(self._trial(trial))
                if data is not None:
                    found[trial] = from_json("trial", trial, data).record
            except UnreadableError as error:
                self._set_aside(self._trial(trial), error.reason)
            except DamagedError as error:
                self._set_aside(self._trial(trial), str(error))
        return found

    def last_trial(self) -> float | None:
        """When the record of a tune_trial was written last, in s by the store's clock; None where there is none."""
        return max(self._files.written(f"{self._name}/trials").values(), default=None)

    def _trial(self, trial: str) -> str:
        assert re.fullmatch(r"[\w\-]+", trial), f"not a trial's name: {trial!r}"
        return f"{self._name}/trials/{trial}.json"
