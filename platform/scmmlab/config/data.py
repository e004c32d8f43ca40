"""Which data a study uses: feature tables, and the part of each that takes part."""

from __future__ import annotations

from pydantic import Field, field_validator

from scmmlab.config.base import Spec


class CorpusSelection(Spec):
    """A feature table and the part of it that takes part."""

    table: str
    """`shipped:eegmat` for the corpus that comes with scmmlab, else a folder or URI of a feature table; a relative
    path is taken from the folder of the file that names it."""
    subjects: tuple[int, ...] | None = None
    """Subjects by number; all when absent. In YAML a text such as `0-17` or `0-8, 20` may stand for a list."""
    sessions: tuple[int, ...] | None = None
    """Sessions by number; all when absent."""
    classes: tuple[str, ...] | None = None
    """Class names, in the order of the labels they get; all, in the table's order, when absent."""

    @field_validator("subjects", "sessions", mode="before")
    @classmethod
    def _expand_ranges(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        numbers: list[int] = []
        for part in value.split(","):
            low, _, high = part.strip().partition("-")
            if not low.isdigit() or (high and not high.isdigit()):
                raise ValueError(f"must be numbers and ranges such as '0-17, 20', got {value!r}")
            numbers.extend(range(int(low), int(high or low) + 1))
        return numbers

    @field_validator("subjects", "sessions", "classes")
    @classmethod
    def _no_duplicates(cls, value: tuple[object, ...] | None) -> tuple[object, ...] | None:
        if value is not None and (not value or len(set(value)) != len(value)):
            raise ValueError(f"must name at least one, and each only once, got {list(value)}")
        return value


class TransferSpec(Spec):
    """From a source corpus (pre-training) to a target corpus (fine-tuning and test)."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.\-]+$")
    """Name in tables and figures."""
    source: CorpusSelection
    """What is pre-trained on, without labels (with them under `zero_shot`)."""
    target: CorpusSelection
    """What is fine-tuned and tested on."""
