"""YAML in and out: plain values only, no duplicate keys, and the numbers and booleans of YAML 1.2."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from scmmlab.errors import SpecError, nearest

MOST_VALUES = 100_000
"""More than any study has; a few lines of aliases of aliases could stand for billions."""

_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, without the surprises of YAML 1.1: `no` is text here, and `5e-4` a number."""

    # no dates, bytes and sets, not even by an explicit tag
    yaml_constructors = {  # noqa: RUF012
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in _PLAIN
    }
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()
        except (ValueError, KeyError):  # `!!int x`, thousands of digits, half a surrogate pair
            problem = f"{node.tag.rpartition(':')[2]} expected, got {str(node.value)[:30]!r}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"a key must be text, got {key!r} (quote it to make it text)",
                    problem_mark=key_node.start_mark,
                )
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"duplicate key {key!r}", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or the loader above would read as something else, such as `no` and `1e3`."""


def _resolve(tag: str, pattern: str, first: str) -> None:
    for cls in (_StrictLoader, _Dumper):
        cls.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern, re.VERBOSE), list(first) or [""])


# YAML 1.2's core schema, and the merge key. Dates, `yes`, `010` and `1:30` stay text, and are refused where text is
# not allowed.
_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("null", r"^(?:~|null|Null|NULL)$", "~nN")
_resolve("null", r"^$", "")
_resolve("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789")
_resolve(
    "float",
    r"""^[-+]?(?: (?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?
               | [0-9]+[eE][-+]?[0-9]+
               | \.(?:inf|Inf|INF) )$ | ^\.(?:nan|NaN|NAN)$""",
    "-+.0123456789",
)
_resolve("merge", r"^<<$", "<")


def read_text(path: Path, what: str = "file", hint: str | None = None) -> str:
    """The text of a YAML file.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it is, for messages: `site file`.
    hint : str | None
        For messages, unless a file of a similar name is there.

    Raises
    ------
    SpecError
        If it is missing or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = [str(p) for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        guess = nearest(str(path), names)
        raise SpecError(f"There is no {what} {path}.", hint=f"did you mean {guess}?" if guess else hint) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SpecError(f"Cannot read {path}: {reason}.", hint=hint) from None


def dump_yaml(value: Any) -> str:
    """Plain values as YAML that `parse_yaml`, and any other parser, reads as the same values."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

    Parameters
    ----------
    text : str
        The text.
    where : str
        Its source, for messages: a file, or an option.

    Raises
    ------
    SpecError
        If the text is not YAML, has a tag other than those of plain values, has a duplicate key, or expands to more
        values than any study has.
    """
    try:
        loader = _StrictLoader(text)
        try:
            return _written_out(loader.get_single_data(), where)
        finally:
            loader.dispose()
    except RecursionError:
        raise SpecError(f"Cannot read {where}: it is nested too deeply, or an alias contains itself.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SpecError(f"Cannot read {where}{place}: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise SpecError(f"Cannot read {where}: {' '.join(str(error).split())}.") from None


def _written_out(value: Any, where: str) -> Any:
    """`value` with a copy in place of each alias, so that a change of one does not change the others."""
    left = MOST_VALUES

    def copy(part: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise SpecError(f"Cannot read {where}: its aliases expand to more than {MOST_VALUES:,} values.")
        if isinstance(part, dict):
            return {key: copy(inner) for key, inner in part.items()}
        if isinstance(part, list):
            return [copy(inner) for inner in part]
        return part

    return copy(value)
