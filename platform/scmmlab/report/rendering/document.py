"""What every rendering gets: the head of the report, and its cards."""

from __future__ import annotations

from dataclasses import dataclass

from scmmlab.report.card import Card
from scmmlab.report.completeness import completeness
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import MEASURES, listed, plural


@dataclass(frozen=True)
class Document:
    """A report before it is rendered.

    Parameters
    ----------
    title, kind, description : str
        Name of the study, what kind of study it is, and what it asks.
    facts : tuple of (str, str)
        What and how much, for the head.
    incomplete : str | None
        What is missing, in words; None for a complete study, and for no other.
    cards : tuple of Card
        The sections.
    """

    title: str
    kind: str
    description: str
    facts: tuple[tuple[str, str], ...]
    incomplete: str | None
    cards: tuple[Card, ...]

    @classmethod
    def of(cls, results: StudyResults, cards: list[Card]) -> Document:
        """The report of `results` with these sections."""
        study = results.study
        found = completeness(results)
        incomplete = None if found.complete else found.in_words()
        kind = "ablation study" if study.kind == "ablation" else "hyperparameter sweep"
        return cls(study.name, kind, study.description, tuple(_facts(results)), incomplete, tuple(cards))


def _facts(results: StudyResults) -> list[tuple[str, str]]:
    study = results.study
    found = completeness(results)
    transfers = [f"`{transfer.name}`" for transfer in study.transfers]
    if study.kind == "sweep":
        ended = found.cells - found.settings_missing - found.settings_failed
        return [
            ("settings", f"{ended} of {found.cells} tried" if not found.complete else f"{found.cells} tried"),
            ("parameters", str(len(study.space))),
            ("transfer", transfers[0]),
            (
                "objective",
                "validation balanced accuracy of a probe"
                + (", and few epochs" if "epochs" in study.objectives else ""),
            ),
        ]
    done = found.cells - len(found.missing) - len(found.failed) - len(found.untested)
    return [
        ("cells", f"{done} of {found.cells} finished" if not found.complete else f"all {found.cells} finished"),
        (
            "grid",
            f"{plural(len(study.variants), 'variant')} × {plural(len(transfers), 'transfer')} × "
            f"{plural(len(study.seeds), 'seed')}",
        ),
        ("transfers" if len(transfers) > 1 else "transfer", listed(transfers)),
        ("metric", MEASURES[study.statistics.metric].label),
        ("reference", f"`{study.statistics.reference}`"),
    ]
