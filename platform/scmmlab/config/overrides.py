"""`--set path=value`: override a study's settings on the command line."""

from __future__ import annotations

from typing import Any

from scmmlab.config.yaml_text import parse_yaml
from scmmlab.errors import SpecError


def apply_override(data: dict[str, Any], override: str | tuple[str, Any]) -> str:
    """Change `data`, a study as plain values, as `override` says.

    Parameters
    ----------
    data : dict
        The study, variants in their long form; changed in place.
    override : str or tuple of (str, value)
        ``path=value``: a dotted path from the top of the study (list positions from 0, or the names of what is in
        the list), and a value in YAML; or the path and a plain value.

    Returns
    -------
    str
        The dotted path, with positions for names. A variant's ``set`` is left out of it, as messages leave it out.
    """
    dotted, equals, value = override.partition("=") if isinstance(override, str) else (override[0], "=", override[1])
    dotted = dotted.strip()
    if not equals or not all(dotted.split(".")):
        given = override if isinstance(override, str) else dotted
        raise SpecError(f"--set takes path=value, got {given!r}.", hint="for example --set base.finetune.epochs=5")
    if isinstance(override, str):
        value = parse_yaml(value, f"--set {dotted}")
    place: Any = data
    path: list[str] = []
    rest = dotted.split(".")
    while rest:
        key, rest = _step(place, path, rest)
        if isinstance(place, list):
            key = _position(place, key)
        if isinstance(place, list) and not (key.isdigit() and int(key) < len(place)):
            names = _names(place)
            of = f" ({', '.join(names)})" if names else ""
            raise SpecError(
                f"--set {dotted}: '{'.'.join(path)}' has the positions 0 to {len(place) - 1}{of}, got {key!r}."
            )
        if not isinstance(place, list | dict):
            raise SpecError(f"--set {dotted}: '{'.'.join(path)}' is a single value and has no {key!r}.")
        position: Any = int(key) if isinstance(place, list) else key
        path.append(key)
        if not rest:
            place[position] = value
        elif isinstance(place, dict) and place.get(key) is None:
            place[key] = {}
        place = place[position]
    if path[0] == "variants" and path[2:3] == ["set"]:
        del path[2]
    return ".".join(path)


def _step(place: Any, path: list[str], rest: list[str]) -> tuple[str, list[str]]:
    """The next key on the way, and what is left of the path: some keys hold dots themselves."""
    if isinstance(place, dict):
        for length in range(len(rest), 0, -1):
            key = ".".join(rest[:length])
            if key in place:
                return key, rest[length:]
        if len(path) == 2 and path[0] == "variants" and rest[0] not in ("description", "set"):
            return "set", rest
        changes = path[0:1] + path[2:] in (["variants", "set"], ["transfers", "set"])
        condition = path[:1] == ["space"] and path[-1] == "when"
        if path == ["space"] or condition or changes or path[:-1] == ["points"]:
            return ".".join(rest), []
    if isinstance(place, list):
        for length in range(len(rest), 0, -1):
            name = ".".join(rest[:length])
            if name in _names(place):
                return name, rest[length:]
    return rest[0], rest[1:]


def _names(items: list[Any]) -> list[str]:
    """The names of a list's items, where they have any."""
    return [item["name"] for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]


def _position(items: list[Any], key: str) -> str:
    """The position of the item of that name; the key itself where there is none."""
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    return str(names.index(key)) if key in names else key
