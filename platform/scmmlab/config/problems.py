"""Problems of a configuration as sentences: pydantic's errors in terms of the file that was written."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from scmmlab.errors import SpecError, nearest

SpecT = TypeVar("SpecT", bound=BaseModel)

_TYPE_WORDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "list_type": "a list",
}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration."""

    path: tuple[str, ...]
    """Where: keys and list positions from the outermost one in."""
    message: str
    """What is allowed and what arrived: `it must be less than 1, got 1.2`."""
    unknown: bool = False
    """Whether the path's last key does not exist."""

    def beneath(self, *path: str) -> Problem:
        """The same problem in a configuration that holds this one at `path`."""
        return replace(self, path=(*path, *self.path))

    def sentence(self, where: str, what: str = "study") -> str:
        """The problem as a sentence about the file `where`, which contains a `what`."""
        dotted = ".".join(self.path)
        subject = f"Unknown key '{dotted}'" if self.unknown else f"Invalid value for '{dotted}'"
        end = "" if self.message.endswith("?") else "."
        return f"{subject if dotted else f'Invalid {what}'} in {where}: {self.message}{end}"


def raise_problems(problems: Iterable[tuple[Problem, str]], what: str = "study") -> None:
    """Raise one SpecError for all of `problems`, each with its file; do nothing if there are none."""
    sentences = list(dict.fromkeys(problem.sentence(where, what) for problem, where in problems))
    if len(sentences) == 1:
        raise SpecError(sentences[0])
    if sentences:
        raise SpecError("\n  - ".join([f"{len(sentences)} things are wrong with the {what}:", *sentences]))


def validate(model: type[SpecT], data: object) -> tuple[SpecT | None, list[Problem]]:
    """`data` as a `model`, or None and everything that is wrong with it.

    In addition to pydantic's checks, text is not accepted as a number or a boolean, nor a boolean as a number.
    """
    value, errors = None, []
    try:
        value = model.model_validate(data)
    except ValidationError as error:
        errors = error.errors()
    errors += _conversions(model, data)
    problems = _without_echoes([problem for error in errors if (problem := _translate(model, data, error))])
    return (None, problems) if problems else (value, [])


def _conversions(model: type[BaseModel], data: object) -> list[ErrorDetails]:
    """Where pydantic would accept text or a boolean as a number."""
    try:
        model.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        kinds = ("int_type", "float_type", "bool_type")
        return [e for e in error.errors() if e["type"] in kinds and isinstance(e["input"], bool | str)]
    return []


def show(value: object, width: int = 70) -> str:
    """`value` on one line as in YAML, cut to `width` characters."""
    text = json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, str) else repr(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def name_one_of(name: str, allowed: Iterable[str]) -> str:
    """`it must be one of 'a', 'b', got 'c'`, with the closest of them if one is similar."""
    names = list(allowed)
    guess = nearest(name, names)
    listed = ", ".join(repr(n) for n in names)
    return f"it must be one of {listed}, got {name!r}" + (f"; did you mean {guess!r}?" if guess else "")


# --- from pydantic's location to the reader's path -------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    path: tuple[str, ...]
    owner: type[BaseModel] | None = None  # the model that holds the last key of the path
    field: FieldInfo | None = None
    annotation: Any = None  # type expected at the path
    other_member: bool = False  # an error about a member of a union that the input is not meant to be
    plain_union: bool = False


def _locate(model: type[BaseModel], data: object, location: Sequence[str | int]) -> _Place:
    """Walk `location` along the types, skipping the parts that name a member of a union instead of a key."""
    place = _Place((), annotation=model)
    rest = list(location)
    while rest:
        members = _members(place.annotation)
        if len(members) > 1:
            chosen = _chosen(members, data)
            if chosen is None:
                return replace(place, plain_union=True)
            label = str(rest.pop(0))  # a tag, a class's name, or `function-after[_check(), FloatRange]`
            if label != _tag(chosen) and not re.search(rf"\b{chosen.__name__}\b", label):
                return replace(place, other_member=True)
            place = replace(place, annotation=chosen)
            continue
        annotation = members[0]
        annotation = _narrowed(annotation, data)
        part = rest.pop(0)
        data = _child(data, part)
        path = (*place.path, str(part))
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(part))
            place = _Place(path, annotation, field, field.annotation if field else None)
            if field is None:
                return place
        elif rest and rest[0] == "[key]":
            return _Place(path)
        else:
            arguments = [a for a in get_args(annotation) if a is not Ellipsis]
            if not arguments:
                return _Place(path)
            place = _Place(path, annotation=arguments[-1])  # dict[str, X], tuple[X, ...], list[X]
    return place


def _narrowed(annotation: Any, data: object) -> Any:
    """The class that `data` is read as, where the annotation is one that leaves it to the data."""
    try:
        return annotation.narrowed(data) if hasattr(annotation, "narrowed") else annotation
    except ValidationError:
        return annotation


def _members(annotation: Any) -> list[Any]:
    """The types that `annotation` allows, without None."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        return [m for a in get_args(annotation) if a is not types.NoneType for m in _members(a)]
    return [annotation]


def _chosen(members: Sequence[Any], data: object) -> type[BaseModel] | None:
    """The member of a union of models that `data` is most likely meant to be."""
    models = [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
    if not models or not isinstance(data, Mapping):
        return None

    def likeness(candidate: type[BaseModel]) -> tuple[bool, int, int]:
        fields = candidate.model_fields
        missing = sum(field.is_required() and name not in data for name, field in fields.items())
        return _tag(candidate) == data.get("kind", ""), len(fields.keys() & data.keys()), -missing

    return max(models, key=likeness)


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    return field.default if field else None


def _child(data: object, part: str | int) -> object:
    if isinstance(data, Mapping):
        return data.get(part)
    if isinstance(data, Sequence) and isinstance(part, int) and part < len(data):
        return data[part]
    return None


# --- from pydantic's message to a sentence ---------------------------------------------------------------------------


def _translate(model: type[BaseModel], data: object, error: ErrorDetails) -> Problem | None:
    kind, got, context = error["type"], error["input"], error.get("ctx", {})
    place = _locate(model, data, error["loc"])
    if place.other_member:
        return None
    if kind == "extra_forbidden":
        assert place.owner is not None
        return Problem(place.path, _unknown_key(place), unknown=True)
    if kind == "unknown_method":
        names = context["allowed"]
        return Problem(place.path, name_one_of(got, names) if isinstance(got, str) else _must(error))
    if kind == "missing":
        return Problem(place.path, "it is missing")
    if kind == "value_error":
        message = str(context["error"])
        return Problem(place.path, f"it {message}" if message.startswith("must ") else message)
    if kind == "too_short":
        # a list whose items are wrong is short for pydantic, and its items are reported themselves
        return None if got else Problem(place.path, f"it must name at least {context['min_length']}, got {show(got)}")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = [tag for m in _members(place.annotation) if (tag := _tag(m))]
        if kind == "union_tag_invalid":
            return Problem((*place.path, "kind"), name_one_of(str(context["tag"]), tags))
        if isinstance(got, Mapping):
            return Problem((*place.path, "kind"), f"it is missing, and must be one of {', '.join(map(repr, tags))}")
        return Problem(place.path, f"it must be a mapping of keys to values, got {show(got)}")
    if place.plain_union:
        expected = _alternatives(place.annotation)
        return Problem(place.path, f"it must be {expected}, got {show(got)}")
    if kind == "literal_error":
        allowed = get_args(next(m for m in _members(place.annotation) if get_args(m)))
        return Problem(place.path, name_one_of(got, allowed) if isinstance(got, str) else _must(error))
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal") and place.field:
        return Problem(place.path, f"it must {_interval(place.field)}, got {show(got)}")
    if words := _TYPE_WORDS.get(kind):
        or_null = " or null" if types.NoneType in get_args(place.annotation) else ""
        return Problem(place.path, f"it must be {words}{or_null}, got {show(got)}")
    return Problem(place.path, _must(error))


def _must(error: ErrorDetails) -> str:
    """Pydantic's own message, rephrased."""
    subject, should, rule = error["msg"].partition(" should ")
    return f"it must {rule if should else subject}, got {show(error['input'])}"


def _alternatives(annotation: Any) -> str:
    """What is allowed where a union of models, of single values or of both is expected."""
    members = _members(annotation)
    models = [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
    if len(models) == len(members):
        return "a mapping of keys to values"
    if not models and any(get_origin(member) is Literal for member in members):
        *others, last = (text for argument in get_args(annotation) for text in _single_values(argument))
        return f"{', '.join(others)} or {last}"
    if int not in members or not models:
        return "a single value"
    (number,) = _single_values(next(a for a in get_args(annotation) if _members(a) == [int]))
    return f"{number} or a mapping with {' and '.join(map(repr, models[0].model_fields))}"


def _single_values(annotation: Any) -> list[str]:
    """`a number (in [0, 1])`, `'auto'`, `null`: what one member of a union allows."""
    kind, *rest = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if get_origin(kind) is Literal:
        return [repr(value) for value in get_args(kind)]
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", types.NoneType: "null"}[kind]
    limits = [part for part in rest if isinstance(part, FieldInfo)]
    return [f"{words} ({_interval(limits[0]).removeprefix('be ').removeprefix('lie ')})" if limits else words]


def _unknown_key(place: _Place) -> str:
    assert place.owner is not None
    name, fields = place.path[-1], list(place.owner.model_fields)
    guess = nearest(name, fields)
    allowed = ", ".join(repr(field) for field in fields)
    return f"the allowed keys are {allowed}" + (f"; did you mean {guess!r}?" if guess else "")


def _interval(field: FieldInfo) -> str:
    """`lie in [0, 1)`, `be at least 1`: all bounds of a field in one phrase."""
    low: object = None
    high: object = None
    low_closed = high_closed = False
    for bound in field.metadata:
        if isinstance(bound, Ge | Gt):
            low, low_closed = (bound.ge, True) if isinstance(bound, Ge) else (bound.gt, False)
        elif isinstance(bound, Le | Lt):
            high, high_closed = (bound.le, True) if isinstance(bound, Le) else (bound.lt, False)
    if low is not None and high is not None:
        return f"lie in {'[' if low_closed else '('}{low}, {high}{']' if high_closed else ')'}"
    if low is not None:
        return f"be at least {low}" if low_closed else f"be above {low}"
    return f"be at most {high}" if high_closed else f"be below {high}"


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """Drop a missing key whose misspelling is reported already, and duplicates from plain unions."""
    guessed = {
        (*p.path[:-1], p.message.rpartition("did you mean ")[2].strip("'?"))
        for p in problems
        if p.unknown and "did you mean" in p.message
    }
    return list(dict.fromkeys(p for p in problems if not (p.message == "it is missing" and p.path in guessed)))
