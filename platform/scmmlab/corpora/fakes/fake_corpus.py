"""What every fake of a corpus offers: a folder in the corpus's own file formats, with signals that can be learned."""

from __future__ import annotations

import shutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from scmmlab.config import Spec
from scmmlab.errors import CorpusError


class FakeCorpus(Spec, ABC):
    """A folder that cannot be told from the real one by its names, keys, types and shapes.

    Its fields are what a user may choose; subclasses narrow `subjects` and add layouts and versions.
    """

    name: ClassVar[str]
    """Name of the corpus, as its reader has it."""
    summary: ClassVar[str]
    """What is written, in a line."""

    subjects: int = Field(2, ge=1)
    """Subjects, the first of the corpus."""
    small: bool = False
    """As little as the reader still takes for the corpus."""
    seed: int = Field(0, ge=0)
    """Seed of everything but what corpora share."""

    @abstractmethod
    def write(self, out: Path) -> Iterator[Path]:
        """Write the folder's files into `out`, a folder that is there and empty; yields each file that is done."""


def write_fake(fake: FakeCorpus, out: Path) -> Iterator[Path]:
    """Write a fake to a folder that appears when it is whole; yields each file that is done, where it will be.

    Parameters
    ----------
    fake : FakeCorpus
        What to write.
    out : Path
        A folder that does not exist or is empty.

    Raises
    ------
    CorpusError
        If there is something in `out`.
    """
    out = out.expanduser().absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CorpusError(
            f"'{out}' cannot take a fake corpus: expected an empty folder or none, found "
            f"{'files in it' if out.is_dir() else 'a file'}.",
            "choose another folder; a fake never replaces anything.",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        new.mkdir()
        for path in fake.write(new):
            yield out / path.relative_to(new)
        if out.exists():
            out.rmdir()
        new.rename(out)
    finally:
        shutil.rmtree(new, ignore_errors=True)
