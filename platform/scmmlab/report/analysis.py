"""What every analysis is: settings in `__init__`, work in `compute`, a card as its outcome."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from scmmlab.report.card import Card, Notice, Text
from scmmlab.report.inputs import StudyResults

_logger = logging.getLogger(__name__)


class NotReady(Exception):
    """The data does not allow this analysis; the message is the sentence that the report shows."""


class Analysis(ABC):
    """One section of a report."""

    slug: ClassVar[str]
    """Its anchor."""
    title: ClassVar[str]
    """Its heading."""

    @abstractmethod
    def compute(self, results: StudyResults) -> Card:
        """The card of these results.

        Raises
        ------
        NotReady
            Where there is nothing to show yet.
        """

    def card(self, *blocks: object) -> Card:
        """A card of this analysis; None among the blocks is left out."""
        return Card(self.slug, self.title, tuple(block for block in blocks if block is not None))  # type: ignore[misc]


def compute_cards(analyses: Sequence[Analysis], results: StudyResults) -> list[Card]:
    """The card of each analysis: a sentence where the data is not ready, an error where the analysis has a fault.

    One broken analysis never costs the report.
    """
    cards = []
    for analysis in analyses:
        try:
            cards.append(analysis.compute(results))
        except NotReady as sentence:
            cards.append(Card(analysis.slug, analysis.title, (Text(str(sentence)),), "not_ready"))
        except Exception as fault:
            _logger.exception("analysis '%s' failed", analysis.slug)
            text = f"This section could not be computed: {type(fault).__name__}: {fault}"
            cards.append(Card(analysis.slug, analysis.title, (Notice(text, "error"),), "failed"))
    return cards
