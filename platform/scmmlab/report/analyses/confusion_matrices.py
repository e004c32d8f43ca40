"""Confusion matrices: which classes are taken for which."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.report import drawing as draw
from scmmlab.report.analyses import markers
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Figure
from scmmlab.report.inputs import StudyResults
from scmmlab.report.values import pooled_confusion

_COLUMNS = 4


class ConfusionMatrices(Analysis):
    """One matrix a variant, one figure a transfer."""

    slug = "confusion"
    title = "Confusion matrices"

    def compute(self, results: StudyResults) -> Card:
        """The figures of the transfers that have a finished cell."""
        figures = [figure for transfer in results.ablation.transfers if (figure := _figure(results, transfer.name))]
        if not figures:
            raise NotReady("No cell is finished, so there are no predictions yet.")
        return self.card(*figures)


def _figure(results: StudyResults, transfer: str) -> Figure | None:
    reference = results.ablation.statistics.reference
    variants = [
        variant
        for variant in sorted(results.ablation.variants, key=lambda variant: variant != reference)
        if results.finished(variant, transfer)
    ]
    if not variants:
        return None
    record = results.finished(variants[0], transfer)[0].record
    assert record is not None
    classes = record["classes"]
    columns = min(len(variants), _COLUMNS)
    rows = -(-len(variants) // columns)
    drawing, axes = draw.panels(rows, columns, 2.05 * rows + 0.25, sharex=True, sharey=True)
    for panel in axes.flat[len(variants) :]:
        panel.set_visible(False)
    for panel, variant in zip(axes.flat, variants, strict=False):
        _matrix(panel, pooled_confusion(results.finished(variant, transfer)))
        panel.set_title(markers.plain_label(results, variant), fontsize=8.5)
    names = [name if len(name) <= 10 else name[:9] + "…" for name in classes]
    axes[0, 0].set_xticks(range(len(classes)), names)
    axes[0, 0].set_yticks(range(len(classes)), names)
    for panel in axes[-1]:
        panel.tick_params(axis="x", labelrotation=0 if len(classes) < 4 else 40)
    drawing.supxlabel("predicted class", fontsize=8.5)
    drawing.supylabel("true class", fontsize=8.5)
    return Figure(
        name=f"confusion-{transfer}",
        caption=(
            f"`{transfer}`: test windows of each true class (rows) by the class they were taken for (columns), in % of "
            "the row, all folds and seeds together. The diagonal is the recall of each class."
        ),
        alt=f"Confusion matrices of {len(variants)} variants for {transfer}.",
        drawing=drawing,
    )


def _matrix(panel: Any, matrix: NDArray[np.int64]) -> None:
    share = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    panel.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="equal")
    for (row, column), value in np.ndenumerate(share):
        colour = "white" if value > 55 else draw.INK
        panel.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=8)
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
