"""Gaps between two protocols: the same cells under either, subject by subject."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scmmlab.evaluation import bootstrap_interval, mean_and_sd
from scmmlab.report.analyses import markers
from scmmlab.report.card import Row
from scmmlab.report.comparisons import generator
from scmmlab.report.inputs import StudyResults
from scmmlab.report.leaks import LeakPair
from scmmlab.report.measures import Measure
from scmmlab.report.values import paired_subject_means


@dataclass(frozen=True, eq=False)
class Gap:
    """One pair on one transfer.

    Parameters
    ----------
    transfer : str
        Its name.
    pair : LeakPair
        The two variants.
    values : array, shape=(2, subjects)
        Figures of the subjects that both have, leak-free first.
    """

    transfer: str
    pair: LeakPair
    values: NDArray[np.float64]


def find_gaps(results: StudyResults, measure: Measure, pairs: Iterable[LeakPair]) -> list[Gap]:
    """The gaps of pairs that share a finished seed and a subject, by transfer."""
    found = []
    for transfer in results.ablation.transfers:
        for pair in pairs:
            sides = paired_subject_means(
                results.finished(pair.leak_free, transfer.name),
                results.finished(pair.released, transfer.name),
                measure.name,
            )
            shared = sorted(set(sides[0]) & set(sides[1]))
            if shared:
                values = np.array([[side[subject] for subject in shared] for side in sides])
                found.append(Gap(transfer.name, pair, values))
    return found


def gap_rows(results: StudyResults, measure: Measure, gaps: Sequence[Gap]) -> tuple[Row, ...]:
    """A row for each gap, beneath the name of its transfer where the study has several."""
    rows: list[Row] = []
    for number, gap in enumerate(gaps):
        if len(results.ablation.transfers) > 1 and (not number or gap.transfer != gaps[number - 1].transfer):
            rows.append(Row.of(f"`{gap.transfer}`", kind="group"))
        rows.append(_row(results, measure, gap))
    return tuple(rows)


def _row(results: StudyResults, measure: Measure, gap: Gap) -> Row:
    statistics, pair = results.ablation.statistics, gap.pair
    added = gap.values[1] - gap.values[0]
    rng = generator(results.ablation.name, measure.name, gap.transfer, pair.leak_free, pair.released)
    low, high = bootstrap_interval(added, statistics.alpha, statistics.bootstrap_samples, rng)
    return Row.of(
        markers.variant_label(results, pair.released) + ("" if pair.same_split else " *"),
        markers.variant_label(results, pair.leak_free),
        str(added.size),
        measure.mean_sd(*mean_and_sd(gap.values[1])),
        measure.mean_sd(*mean_and_sd(gap.values[0])),
        measure.difference(float(added.mean())),
        measure.interval(low, high),
    )
