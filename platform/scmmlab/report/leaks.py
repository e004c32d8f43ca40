"""Which variants differ in the protocol alone, so that the gap between their figures is what the leaks add."""

from __future__ import annotations

from dataclasses import dataclass

from scmmlab.config import ExperimentSpec, ReleasedProtocol, canonical_json
from scmmlab.report.comparisons import split_of
from scmmlab.report.inputs import StudyResults


@dataclass(frozen=True)
class LeakPair:
    """A variant under the released protocol and its leak-free counterpart.

    Parameters
    ----------
    released, leak_free : str
        Names of the variants.
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


def _but_protocol(experiment: ExperimentSpec) -> str:
    return canonical_json(experiment.without_quirks().model_dump(mode="json", exclude={"protocol"}))


def _leak_free(experiment: ExperimentSpec) -> bool:
    return not isinstance(experiment.protocol, ReleasedProtocol) and not experiment.quirks_in_words()
