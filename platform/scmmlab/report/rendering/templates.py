"""The report's templates, and what they may ask of a card's blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jinja2

from scmmlab.report import card


def load_template(name: str, filters: Mapping[str, Callable[..., Any]], **options: Any) -> jinja2.Template:
    """A template of the report; whatever it names and is not there is an error.

    Parameters
    ----------
    name : str
        Its file.
    filters : mapping of str to callable
        Its filters.
    **options
        Of Jinja's environment.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scmmlab.report", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    environment.filters.update(filters)
    environment.tests["block"] = lambda block, kind: isinstance(block, getattr(card, kind))
    return environment.get_template(name)
