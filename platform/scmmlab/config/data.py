"""Which data a study uses: feature tables, and the part of each that takes part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator

from scmmlab.config.base import Changes, Spec


def _allow_mapping(schema: dict[str, Any]) -> None:
    """In the JSON schema: `classes` may be a mapping, which `CorpusSelection` takes apart."""
    names = {"type": "array", "items": {"type": "string"}}
    schema.setdefault("anyOf", []).append({"type": "object", "additionalProperties": names})


MOST_NUMBERS = 100_000
"""Numbers that a range may stand for: more than any corpus has subjects, and few enough to write out."""


class CorpusSelection(Spec):
    """A feature table and the part of it that takes part."""

    table: str
    """`shipped:eegmat` for the corpus that comes with scmmlab, else a folder or URI of a feature table; a relative
    path is taken from the folder of the file that names it."""
    subjects: tuple[int, ...] | None = None
    """Subjects by number; all when absent. In YAML a text such as `0-17` or `0-8, 20` may stand for a list."""
    sessions: tuple[int, ...] | None = None
    """Sessions by number; all when absent."""
    classes: tuple[str, ...] | None = Field(None, json_schema_extra=_allow_mapping)
    """Class names, in the order of the labels they get; all, in the table's order, when absent. A mapping from a class
    to those of the table's that it is made of (`negative: [sad]`) stands for the names and `class_map`; what is in no
    class is left out."""
    class_map: dict[str, tuple[str, ...]] | None = None
    """The table's classes that each of `classes` is made of; its own name alone when absent."""

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
            raise ValueError(f"'class_map' must say what each of 'classes' is made of, got {sorted(self.class_map)}")
        members = [member for name in self.classes or () for member in self.class_map[name]]
        if not all(self.class_map.values()) or len(set(members)) != len(members):
            raise ValueError(f"each class must be made of one or more, and no two of the same, got {self.class_map}")
        return self

    def members(self, name: str) -> tuple[str, ...]:
        """The table's classes that one of `classes` is made of."""
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
                raise ValueError(
                    f"must be ranges that ascend, of at most {MOST_NUMBERS:,} numbers, got {part.strip()!r}"
                )
            numbers.extend(range(first, last + 1))
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
    mixed_features: bool = False
    """Whether the features of source and target may be made in different ways: shipped by a corpus's authors and
    computed here, another logarithm or form. The bands must be the same in any case."""
    set: Changes = Field(default_factory=dict)
    """Dotted path of the experiment → value: what this transfer changes in the base, before a variant does. All but
    the kind of protocol. Of grids alone."""
