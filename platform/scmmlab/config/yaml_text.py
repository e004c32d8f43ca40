"""YAML as it is meant: plain values only, no key twice, and the numbers and booleans of YAML 1.2."""

from __future__ import annotations

import re
from typing import Any

import yaml

from scmmlab.errors import SpecError

MOST_VALUES = 100_000
"""More than any study has; a few lines of aliases of aliases could stand for billions."""


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, without the readings of YAML 1.1 that surprise: `no` is text here, and `5e-4` a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"a key must be text, got {key!r} (quotes make it text)", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} stands twice in one mapping", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _resolve(tag: str, pattern: str, first: str) -> None:
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern, re.VERBOSE), list(first))


_StrictLoader.yaml_implicit_resolvers = {}  # none of YAML 1.1's, which add_implicit_resolver would copy

# YAML 1.2's core schema, and the merge key. Dates, `yes`, `010` and `1:30` stay text, and so are refused where they
# are not text's place.
_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("null", r"^(?:~|null|Null|NULL|)$", "~nN\0")
_StrictLoader.yaml_implicit_resolvers.setdefault("", []).append(("tag:yaml.org,2002:null", re.compile(r"^$")))
_resolve("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789")
_resolve(
    "float",
    r"""^[-+]?(?: (?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?
               | [0-9]+[eE][-+]?[0-9]+
               | \.(?:inf|Inf|INF) )$ | ^\.(?:nan|NaN|NAN)$""",
    "-+.0123456789",
)
_resolve("merge", r"^<<$", "<")


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

    Parameters
    ----------
    text : str
        The text.
    where : str
        What it is, for messages: a file, or the option that it came by.

    Raises
    ------
    SpecError
        Where the text is no YAML, holds a tag of Python's, names a key twice, or stands for more values than any study
        has.
    """
    try:
        loader = _StrictLoader(text)
        try:
            return _written_out(loader.get_single_data(), where)
        finally:
            loader.dispose()
    except RecursionError:
        raise SpecError(
            f"Cannot read {where}: it is nested too deeply, or an alias stands for what it is in."
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SpecError(f"Cannot read {where}{place}: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise SpecError(f"Cannot read {where}: {' '.join(str(error).split())}.") from None


def _written_out(value: Any, where: str) -> Any:
    """`value` with a copy of its own in the place of each alias, so that a change of one does not change the others."""
    left = MOST_VALUES

    def copy(part: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise SpecError(f"Cannot read {where}: its aliases stand for more than {MOST_VALUES:,} values.")
        if isinstance(part, dict):
            return {key: copy(inner) for key, inner in part.items()}
        if isinstance(part, list):
            return [copy(inner) for inner in part]
        return part

    return copy(value)
