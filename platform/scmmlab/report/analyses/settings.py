"""Every setting of the base and the versions: what it takes to run the study again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scmmlab.report.analysis import Analysis
from scmmlab.report.card import Card, ReportTable, Row
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import setting


class AllSettings(Analysis):
    """The base settings by dotted path, and the versions."""

    slug = "settings"
    title = "Settings and versions"

    def compute(self, results: StudyResults) -> Card:
        """Two tables."""
        published = type(results.study.base).model_validate({"method": results.study.base.method})
        defaults = dict(_flat(published.model_dump(mode="json")))
        rows = []
        for path, value in _flat(results.study.base.model_dump(mode="json")):
            default = setting(defaults[path]) if path in defaults else ""
            rows.append(Row.of(f"`{path}`", setting(value), "" if default == setting(value) else default))
        base = ReportTable(
            name="settings",
            caption="Base settings; the default (the published setting) where it differs.",
            columns=("setting", "value", "default"),
            align="lrr",
            rows=tuple(rows),
        )
        versions = ReportTable(
            name="versions",
            caption="Versions of what computed the results.",
            columns=("what", "version"),
            align="ll",
            rows=tuple(Row.of(name, f"`{version}`") for name, version in results.versions.items()),
        )
        return self.card(base, versions if results.versions else None)


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
