"""Who is trained on, validated on and tested on; the figures; and what they allow one to say."""

from scmmlab.evaluation.fold import Fold
from scmmlab.evaluation.metrics import METRICS, confusion, json_scores, scores
from scmmlab.evaluation.splits import make_folds
from scmmlab.evaluation.statistics import (
    PairedComparison,
    Verdict,
    bootstrap_interval,
    compare_with_reference,
    holm,
    mean_and_sd,
    rank_biserial,
    seeds_averaged,
    smallest_p,
    wilcoxon_p,
)
from scmmlab.evaluation.trials import trial_numbers

__all__ = [
    "METRICS",
    "Fold",
    "PairedComparison",
    "Verdict",
    "bootstrap_interval",
    "compare_with_reference",
    "confusion",
    "holm",
    "json_scores",
    "make_folds",
    "mean_and_sd",
    "rank_biserial",
    "scores",
    "seeds_averaged",
    "smallest_p",
    "trial_numbers",
    "wilcoxon_p",
]
