"""Learning curves: the parts of the pre-training loss, and validation while fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.methods.registry import method
from scmmlab.report import drawing as draw
from scmmlab.report.analyses import markers
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Card, Figure
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import chance_level
from scmmlab.report.values import mean_curve, test_windows

_FINETUNING = {"train_accuracy": "training accuracy (%)", "validation_balanced_accuracy": "validation bal. acc. (%)"}


@dataclass(frozen=True)
class _Line:
    """A curve, and the variants whose curve it is."""

    variants: tuple[str, ...]
    epochs: NDArray[np.int64]
    values: NDArray[np.float64]


class LearningCurves(Analysis):
    """How the losses and the validation figure went, mean over seeds."""

    slug = "learning-curves"
    title = "Learning curves"

    def compute(self, results: StudyResults) -> Card:
        """A figure of pre-training and one of fine-tuning, as far as there are curves."""
        figures = [figure for draw_part in (_pretraining, _finetuning) if (figure := draw_part(results))]
        if not figures:
            raise NotReady("No finished cell has learning curves.")
        return self.card(*figures)


def _pretraining(results: StudyResults) -> Figure | None:
    names = dict.fromkeys(cell.experiment.method for cell in results.cells)
    labels = {one.name: one.label for name in names for one in method(name).metrics.get("pretrain", ())}
    drawing = _grid(results, "pretrain", labels, 1.0, chance=False) if labels else None
    if drawing is None:
        return None
    return Figure(
        name="pretraining",
        caption=(
            "Pre-training: total loss and its two parts by epoch, mean over seeds. Variants that share their "
            "pre-training share a line; a variant without pre-training, or with a loss switched off, has none there. "
            "Losses of different temperatures, masks or weightings are different quantities: compare shapes, not "
            "heights."
        ),
        alt="Pre-training losses by epoch, one line a variant.",
        drawing=drawing,
    )


def _finetuning(results: StudyResults) -> Figure | None:
    drawing = _grid(results, "finetune", _FINETUNING, 100.0, chance=True)
    if drawing is None:
        return None
    return Figure(
        name="finetuning",
        caption=(
            "Fine-tuning: accuracy on the fine-tune part and balanced accuracy on the validation part by epoch, mean "
            "over folds and seeds. Dashed: chance. The `released` protocol has no validation part."
        ),
        alt="Training accuracy and validation balanced accuracy by fine-tuning epoch, one line a variant.",
        drawing=drawing,
    )


def _grid(results: StudyResults, part: str, curves: dict[str, str], scale: float, chance: bool) -> Any | None:
    """One row of panels a transfer, one column a curve; None where no cell has any."""
    study = results.ablation
    lines = {
        (transfer.name, name): _lines(results, transfer.name, part, name)
        for transfer in study.transfers
        for name in curves
    }
    shown = [transfer.name for transfer in study.transfers if any(lines[transfer.name, name] for name in curves)]
    if not shown:
        return None
    styles = draw.line_styles(list(study.variants), study.statistics.reference)
    legend = {line.variants: styles[line.variants[0]] for own in lines.values() for line in own}
    drawing, axes = draw.panels(len(shown), len(curves), 2.1 * len(shown) + 0.35 + 0.17 * -(-len(legend) // 3))
    for row, transfer in zip(axes, shown, strict=True):
        for panel, (name, label) in zip(row, curves.items(), strict=True):
            panel.grid(axis="y")
            for line in lines[transfer, name]:
                panel.plot(line.epochs, line.values * scale, **styles[line.variants[0]])
            if not lines[transfer, name]:
                panel.text(0.5, 0.5, "none", transform=panel.transAxes, ha="center", color=draw.MUTED)
            if chance and name.startswith("validation"):
                windows = test_windows(results, transfer)
                if windows is not None:
                    draw.chance_line(panel, scale * chance_level("balanced_accuracy", windows), vertical=False)
            panel.set_title(label if len(study.transfers) == 1 else f"{transfer}: {label}", fontsize=8.5)
    for panel in axes[-1]:
        panel.set_xlabel("epoch")
    handles = [drawing.axes[0].plot([], [], **style)[0] for style in legend.values()]
    names = [" = ".join(markers.plain_label(results, variant) for variant in variants) for variants in legend]
    drawing.legend(handles, names, loc="outside lower center", ncol=3, handlelength=2.4, columnspacing=1.6)
    return drawing


def _lines(results: StudyResults, transfer: str, part: str, name: str) -> list[_Line]:
    """The curves of all variants, those that are one and the same put together."""
    lines: list[_Line] = []
    reference = results.ablation.statistics.reference
    for variant in sorted(results.ablation.variants, key=lambda variant: variant != reference):
        epochs, values = mean_curve(results.finished(variant, transfer), part, name)
        if len(values) < 2 or not values.any():
            # no curve, as of a method that is fitted at once, or a loss that is switched off and so recorded as 0
            continue
        for position, line in enumerate(lines):
            if np.array_equal(line.epochs, epochs) and np.array_equal(line.values, values):
                lines[position] = _Line((*line.variants, variant), epochs, values)
                break
        else:
            lines.append(_Line((variant,), epochs, values))
    return lines
