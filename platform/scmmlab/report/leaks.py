"""Which variants differ in the protocol alone, so that the gap between their figures is what the leaks add."""

from __future__ import annotations

from dataclasses import dataclass

from scmmlab.config import (
    ExperimentSpec,
    ReleasedProtocol,
    UdaInductiveProtocol,
    UdaTransductiveProtocol,
    canonical_json,
)
from scmmlab.report.comparisons import split_of
from scmmlab.report.inputs import StudyResults


@dataclass(frozen=True)
class LeakPair:
    """A variant under the released protocol and its leak-free counterpart, or the same of domain adaptation.

    Parameters
    ----------
    released, leak_free : str
        Names of the variants; of domain adaptation the transductive and the inductive one.
    same_split : bool
        Whether both test the same trials; if not, the gap holds the split's difference too.
    """

    released: str
    leak_free: str
    same_split: bool


def leak_pairs(results: StudyResults) -> list[LeakPair]:
    """Every released variant with its leak-free counterpart: all settings equal but the protocol.

    Counterparts with the same split are preferred; where there are none, those with another split are taken.
    """
    experiments = results.experiments()
    pairs = []
    for released, experiment in experiments.items():
        if not isinstance(experiment.protocol, ReleasedProtocol):
            continue
        settings = _but_protocol(experiment)
        found = [
            LeakPair(released, name, split_of(other.protocol) == split_of(experiment.protocol))
            for name, other in experiments.items()
            if _leak_free(other) and _but_protocol(other) == settings
        ]
        pairs += [pair for pair in found if pair.same_split] or found
    return pairs


def transductive_pairs(results: StudyResults) -> list[LeakPair]:
    """Every variant that may see the tested windows, with the one that may see earlier ones: all else is equal."""
    experiments = results.experiments()
    return [
        LeakPair(transductive, inductive, same_split=True)
        for transductive, experiment in experiments.items()
        for inductive, other in experiments.items()
        if isinstance(experiment.protocol, UdaTransductiveProtocol)
        and isinstance(other.protocol, UdaInductiveProtocol)
        and _but_kind(experiment) == _but_kind(other)
        and split_of(experiment.protocol) == split_of(other.protocol)
    ]


def _but_kind(experiment: ExperimentSpec) -> str:
    return canonical_json(experiment.model_dump(mode="json", exclude={"protocol": {"kind", "tested"}}))


def _but_protocol(experiment: ExperimentSpec) -> str:
    return canonical_json(experiment.without_quirks().model_dump(mode="json", exclude={"protocol"}))


def _leak_free(experiment: ExperimentSpec) -> bool:
    # one trained on the source differs in more than leaks
    protocol = experiment.protocol
    honest = not isinstance(protocol, ReleasedProtocol) and protocol.trained_on == "target"
    return honest and not experiment.quirks_in_words()
