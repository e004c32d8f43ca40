"""Which variants may be compared with the reference, and the comparisons of the study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scmmlab.config import ProtocolSpec, ReleasedProtocol, fingerprint
from scmmlab.evaluation import PairedComparison, compare_with_reference
from scmmlab.report.inputs import StudyResults
from scmmlab.report.values import paired_subject_means

# the fields of a protocol that decide who is tested on what
_SPLIT_FIELDS = {"subjects_per_fold", "trial_order", "finetune_trials", "finetune_share"}


@dataclass(frozen=True)
class Comparisons:
    """All comparisons with the reference, corrected together.

    Parameters
    ----------
    made : dict of (variant, transfer) to PairedComparison
        In the order of transfers, then variants; only those with a subject on both sides.
    other_protocol : tuple of str
        Variants that are judged by another protocol than the reference, and so are not compared with it.
    """

    made: dict[tuple[str, str], PairedComparison]
    other_protocol: tuple[str, ...]


def compare(results: StudyResults, metric: str | None = None) -> Comparisons:
    """The study's comparisons, by `metric` or the one that the study names."""
    study = results.ablation
    statistics = study.statistics
    metric = metric or statistics.metric
    experiments = results.experiments()
    others = [name for name in study.variants if name != statistics.reference and name in experiments]
    if statistics.reference not in experiments:
        return Comparisons({}, ())
    own = experiments[statistics.reference].protocol
    comparable = [name for name in others if judged_alike(own, experiments[name].protocol)]

    pairs = {}
    for transfer in study.transfers:
        reference = results.finished(statistics.reference, transfer.name)
        for name in comparable:
            pair = paired_subject_means(reference, results.finished(name, transfer.name), metric)
            if set(pair[0]) & set(pair[1]):
                pairs[name, transfer.name] = pair
    rngs = {pair: generator(study.name, metric, *pair) for pair in pairs}
    made = compare_with_reference(pairs, statistics.alpha, statistics.bootstrap_samples, rngs)
    return Comparisons(made, tuple(name for name in others if name not in comparable))


def generator(*names: str) -> np.random.Generator:
    """A source of chance that depends on these names alone, so that a report comes out the same each time."""
    return np.random.default_rng(int(fingerprint(list(names)), 16))


def judged_alike(one: ProtocolSpec, other: ProtocolSpec) -> bool:
    """Whether two protocols test the same trials in the same way, so that a difference is the variants' alone."""
    return one.kind == other.kind and split_of(one) == split_of(other)


def split_of(protocol: ProtocolSpec) -> dict[str, object]:
    """What decides which trials (or subjects) are tested: equal for two protocols with the same test parts."""
    split: dict[str, object] = {
        name: value for name, value in protocol.model_dump(mode="json").items() if name in _SPLIT_FIELDS
    }
    if isinstance(protocol, ReleasedProtocol):
        split["family"] = "honest" if protocol.split == "within_subject" else "loso"
    else:
        # domain adaptation is tested on the test part of honest, or of zero_shot
        whole = "zero_shot" if protocol.tests_all_trials else "honest"
        split["family"] = whole if protocol.kind.startswith("uda_") else protocol.kind
    if split["family"] != "honest":
        # who is left out depends on nothing but the size of the groups
        split = {name: split[name] for name in ("family", "subjects_per_fold")}
    return split
