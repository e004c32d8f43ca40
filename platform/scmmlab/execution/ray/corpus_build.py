"""Build a feature table with Ray Data: one raw file per task, on all nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray.data

from scmmlab import errors
from scmmlab.errors import ScmmlabError
from scmmlab.execution.encoding import replace_missing_letters
from scmmlab.execution.ray.session import ray_session
from scmmlab.execution.ray.shared_tables import quiet_ray_data
from scmmlab.tables import FileRows


def map_on_ray(extract: Callable[[str], FileRows], files: Sequence[str]) -> Iterator[FileRows]:
    """Apply a function to each file, as `build_table` needs it; rows come as files are done.

    Parameters
    ----------
    extract : callable
        From a file to its rows. Every node must be able to import it and to read the files.
    files : sequence of str
        Its arguments.

    Raises
    ------
    ScmmlabError
        The error of the first file that failed.
    """
    with ray_session():
        quiet_ray_data()
        options = ray.data.DataContext.get_current().execution_options
        # a finished file is returned at once: nothing waits for the first, and a build can be resumed
        ordered, options.preserve_order = options.preserve_order, False
        items = [{"file": file} for file in files]
        # one block per file: files are large, so each task holds only one in memory
        dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(_Extraction(extract))
        try:
            for row in dataset.iter_rows():
                if row["error"]:
                    raise getattr(errors, row["error"])(row["message"], row["hint"] or None)
                yield FileRows.from_bytes(row["rows"])
        finally:
            options.preserve_order = ordered


class _Extraction:
    """Calls a function in a worker; returns its rows as bytes, or its error as text."""

    def __init__(self, extract: Callable[[str], FileRows]):
        self.extract = extract

    def __call__(self, row: dict[str, Any]) -> dict[str, str | bytes]:
        replace_missing_letters()
        try:
            rows = self.extract(row["file"]).to_bytes()
        except ScmmlabError as error:
            # as a value: if raised, it would reach the user inside Ray's own error, after several attempts
            kind = next(each.__name__ for each in type(error).__mro__ if hasattr(errors, each.__name__))
            return {"rows": b"", "error": kind, "message": error.message, "hint": error.hint or ""}
        return {"rows": rows, "error": "", "message": "", "hint": ""}
