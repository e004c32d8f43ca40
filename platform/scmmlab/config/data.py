"""Which data a study uses: feature tables, and the subset of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from scmmlab.config.base import Changes, Spec


def _allow_mapping(schema: dict[str, Any]) -> None:
    """In the JSON schema: `classes` may be a mapping, which `CorpusSelection` splits."""
    names = {"type": "array", "items": {"type": "string"}}
    schema.setdefault("anyOf", []).append({"type": "object", "additionalProperties": names})


MOST_NUMBERS = 100_000
"""Most numbers in a range: more than any corpus has subjects, and few enough to list."""


class CorpusSelection(Spec):
    """A feature table and the subset of it that is used."""

    table: str
    """`shipped:eegmat` for the corpus that comes with scmmlab, else a folder or URI of a feature table; a relative
    path is taken from the folder of the file that names it."""
    subjects: tuple[int, ...] | None = None
    """Subjects by number; all when absent. In YAML, text such as `0-17` or `0-8, 20` is read as a list."""
    sessions: tuple[int, ...] | None = None
    """Sessions by number; all when absent."""
    classes: tuple[str, ...] | None = Field(None, json_schema_extra=_allow_mapping)
    """Class names, in the order of their labels; all of the table's, in its order, when absent. A mapping from each
    class to the table's classes that it combines (`negative: [sad]`) sets both the names and `class_map`; windows of
    other classes are left out."""
    class_map: dict[str, tuple[str, ...]] | None = None
    """The table's classes that each of `classes` combines; the class of the same name when absent."""

    @model_validator(mode="before")
    @classmethod
    def _take_mapping_apart(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("classes"), Mapping):
            if data.get("class_map") is not None:
                raise ValueError("'classes' must be a list of names where 'class_map' is given")
            # the names keep the order, which a mapping loses wherever keys are sorted
            return {**data, "classes": list(data["classes"]), "class_map": dict(data["classes"])}
        return data

    @model_validator(mode="after")
    def _check_class_map(self) -> CorpusSelection:
        if self.class_map is None:
            return self
        if set(self.class_map) != set(self.classes or ()):
            raise ValueError(f"'class_map' must define each of 'classes', got {sorted(self.class_map)}")
        members = [member for name in self.classes or () for member in self.class_map[name]]
        if not all(self.class_map.values()) or len(set(members)) != len(members):
            raise ValueError(
                f"each class must combine at least one of the table's, and no two may share one, got {self.class_map}"
            )
        return self

    def members(self, name: str) -> tuple[str, ...]:
        """The table's classes that one of `classes` combines."""
        return (name,) if self.class_map is None else self.class_map[name]

    @field_validator("subjects", "sessions", mode="before")
    @classmethod
    def _expand_ranges(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        numbers: list[int] = []
        for part in value.split(","):
            low, _, high = part.strip().partition("-")
            if not low.isdecimal() or (high and not high.isdecimal()):
                raise ValueError(f"must be numbers and ranges such as '0-17, 20', got {value!r}")
            first, last = int(low), int(high or low)
            if not 0 <= last - first < MOST_NUMBERS:
                raise ValueError(f"must be ascending ranges of at most {MOST_NUMBERS:,} numbers, got {part.strip()!r}")
            numbers.extend(range(first, last + 1))
        return numbers

    @field_validator("subjects", "sessions", "classes")
    @classmethod
    def _no_duplicates(cls, value: tuple[object, ...] | None) -> tuple[object, ...] | None:
        if value is not None and (not value or len(set(value)) != len(value)):
            raise ValueError(f"must name at least one, without duplicates, got {list(value)}")
        return value


class TransferSpec(Spec):
    """From a source corpus (pre-training) to a target corpus (fine-tuning and test)."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.\-]+$")
    """Name in tables and figures."""
    source: CorpusSelection
    """The data for pre-training, without labels (with labels where the protocol trains on the source)."""
    target: CorpusSelection
    """The data for fine-tuning and test."""
    mixed_features: bool = False
    """Whether the features of source and target may be computed differently: shipped by a corpus's authors or computed
    here, with another logarithm or formula. The bands must be the same in any case."""
    set: Changes = Field(default_factory=dict)
    """Dotted path of the experiment → value: what this transfer changes in the base, before any variant. Anything but
    the kind of protocol. For grids only."""
