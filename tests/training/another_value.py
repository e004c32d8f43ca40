"""Another value of a setting, so that a test can change any of them."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic.fields import FieldInfo


def another(field: FieldInfo, value: Any) -> Any:
    """A value that the field allows and that differs from `value`."""
    kind = field.annotation
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not type(None))
    metadata = list(field.metadata)
    if hasattr(kind, "__metadata__"):
        kind, metadata = get_args(kind)[0], [each for info in kind.__metadata__ for each in info.metadata]
    if get_origin(kind) is Literal:
        return next(each for each in get_args(kind) if each != value)
    if kind is bool:
        return not value
    low, high, step = 0.0, 1e6, 1
    for bound in metadata:
        if isinstance(bound, Ge | Gt):
            low = getattr(bound, "ge", getattr(bound, "gt", low))
        elif isinstance(bound, Le | Lt):
            high = getattr(bound, "le", getattr(bound, "lt", high))
        elif isinstance(bound, MultipleOf):
            step = bound.multiple_of
    if kind is int:
        return next(one for one in range(int(low), int(high) + 1) if one % step == 0 and one > low and one != value)
    assert kind is float, f"{kind} has no other value here: name one"
    return next(one for one in (low + (min(high, low + 1) - low) * share for share in (0.3, 0.7)) if one != value)
