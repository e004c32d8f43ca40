"""The line of a key in a YAML text."""

from __future__ import annotations

from collections.abc import Sequence

import yaml


def line_of(text: str, path: Sequence[str]) -> int | None:
    """The line of the key at `path`, from 1, or of the last key on the way that exists.

    Parameters
    ----------
    text : str
        Valid YAML.
    path : sequence of str
        Keys and list positions from the outermost one in.

    Returns
    -------
    int | None
        None if not even the first key of the path exists.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = None
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and step.isdecimal() and int(step) < len(node.value):
            found = (node.value[int(step)],) * 2
        else:
            found = None
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
