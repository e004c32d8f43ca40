"""What leaks do to a figure: the same cells by the released and by a leak-free protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.evaluation import bootstrap_interval
from scmmlab.report import drawing as draw
from scmmlab.report.analyses import markers
from scmmlab.report.analyses.gap_table import Gap, find_gaps, gap_rows
from scmmlab.report.analyses.transductive_gap import transductive_gap
from scmmlab.report.analysis import Analysis, NotReady
from scmmlab.report.card import Block, Bullets, Card, Figure, ReportTable, Row, Text
from scmmlab.report.comparisons import generator
from scmmlab.report.epochs import last_and_best, test_by_epoch
from scmmlab.report.inputs import StudyResults
from scmmlab.report.leaks import LeakPair, leak_pairs, transductive_pairs
from scmmlab.report.measures import MEASURES, Measure, chance_level, plural
from scmmlab.report.protocol_text import RELEASED_MARK, quirks_text
from scmmlab.report.values import test_windows

_ACCURACY = MEASURES["accuracy"]


class LeakPage(Analysis):
    """The released protocol beside the leak-free one: both figures, the gap, and what choosing the best epoch adds."""

    slug = "leaks"
    title = "What leaks do to the figures"

    def compute(self, results: StudyResults) -> Card:
        """Which leaks there are, the gap, accuracy by epoch, and what the tested windows add without their labels."""
        released = [variant for variant in results.experiments() if markers.is_released(results, variant)]
        seen = transductive_pairs(results)
        if not released and not seen:
            raise NotReady(
                "No variant of this study is judged by the `released` protocol, and none by both `uda_inductive` and "
                "`uda_transductive`, so there is no gap to show."
            )
        leaks = self._leaks(results, released) if released else []
        return self.card(*leaks, *transductive_gap(results, seen))

    def _leaks(self, results: StudyResults, released: list[str]) -> list[Block]:
        blocks: list[Block] = [
            Text(
                "The variants below differ from their leak-free counterparts in the protocol alone: same model, data "
                "and seeds. So the gap measures the protocol and not the method. Figures under the released protocol "
                "are shown to explain published ones, not as results. Since nothing validates there, its models are "
                "fine-tuned on what validates in the leak-free protocol, too; what the choice of the epoch adds by "
                "itself stands in the table of epochs."
            ),
            Bullets(tuple(_leaks_in_words(results, variant) for variant in released)),
        ]
        blocks += _gap(results, leak_pairs(results))
        blocks += _epochs(results, released)
        return blocks


def _leaks_in_words(results: StudyResults, variant: str) -> str:
    """The leaks that its records name, then the quirks that its settings switch on."""
    experiment = results.experiments()[variant]
    named: dict[str, None] = {}
    for cell in results.cells:
        if cell.variant == variant and cell.record:
            named |= dict.fromkeys(cell.record.get("leaks") or ())
    leaks = f"Leaks found in its records: {'; '.join(named)}. " if named else ""
    quirks = "; ".join(quirks_text(experiment)) or "no quirk is on"
    return f"`{variant}` {RELEASED_MARK}. {leaks}Its settings: {quirks}."


def _gap(results: StudyResults, pairs: list[LeakPair]) -> list[Block]:
    measure = MEASURES[results.ablation.statistics.metric]
    if not pairs:
        return [Text("No released variant has a counterpart with the same other settings, so no gap can be given.")]
    gaps = find_gaps(results, measure, pairs)
    if not gaps:
        return [Text("No released variant shares a finished seed and a subject with its leak-free counterpart yet.")]
    notes = [*markers.protocol_notes(results, [pair.released for pair in pairs])]
    if not all(pair.same_split for pair in pairs):
        notes.append("* tests other trials than its counterpart, so that the gap holds the split's difference too.")
    level = f"{100 * (1 - results.ablation.statistics.alpha):.3g} %"
    table = ReportTable(
        name="leaks",
        caption=(
            f"{measure.label.capitalize()} ({measure.unit}) by the two protocols, mean over n subjects (seeds averaged "
            f"within a subject first), and the gap released − leak-free ({measure.difference_unit}) with its {level} "
            "bootstrap interval over subjects."
        ),
        columns=(
            "released",
            "leak-free",
            "n",
            "by released",
            "by leak-free",
            f"gap ({measure.difference_unit})",
            f"{level} interval",
        ),
        align="llrrrrr",
        rows=gap_rows(results, measure, gaps),
        notes=tuple(notes),
    )
    return [table, _slopes(results, measure, gaps)]


def _slopes(results: StudyResults, measure: Measure, gaps: list[Gap]) -> Figure:
    columns = min(len(gaps), 4)
    rows = -(-len(gaps) // columns)
    drawing, axes = draw.panels(rows, columns, 2.9 * rows, sharey=True)
    for panel in axes.flat[len(gaps) :]:
        panel.set_visible(False)
    for panel, gap in zip(axes.flat, gaps, strict=False):
        pair, values = gap.pair, gap.values
        panel.set_title(gap.transfer)
        panel.grid(axis="y")
        panel.plot([0, 1], values * measure.scale, color=draw.MUTED, alpha=0.4, linewidth=0.9, zorder=2)
        means = values.mean(axis=1) * measure.scale
        panel.plot([0, 1], means, color=draw.BAD, linewidth=2.4, marker="o", markersize=6, zorder=4)
        for place, mean, side in ((0, means[0], "right"), (1, means[1], "left")):
            panel.annotate(
                f"{mean:.{1 if measure.percent else 3}f}", (place, mean), xytext=(-8 if place == 0 else 8, 0),
                textcoords="offset points", ha=side, va="center", fontweight="bold", color=draw.BAD,
            )  # fmt: skip
        windows = test_windows(results, gap.transfer)
        if windows is not None:
            draw.chance_line(panel, chance_level(measure.name, windows) * measure.scale, vertical=False)
        panel.set_xlim(-0.45, 1.45)
        panel.set_xticks([0, 1], [f"leak-free\n{pair.leak_free}", f"released\n{pair.released} {RELEASED_MARK}"])
        panel.tick_params(axis="x", length=0)
    for row in axes:
        row[0].set_ylabel(f"{measure.label} ({measure.unit})")
    return Figure(
        name="leaks",
        caption=(
            f"{measure.label.capitalize()} of the same subjects by the two protocols: one grey line a subject (seeds "
            "averaged), the mean over subjects in orange."
        ),
        alt=f"Slopes of {measure.label} from the leak-free to the released protocol; the numbers are in the table.",
        drawing=drawing,
    )


def _epochs(results: StudyResults, released: list[str]) -> list[Block]:
    """What choosing the best test epoch adds, where the records have test accuracy by epoch."""
    curves = {
        (transfer.name, variant): curve
        for transfer in results.ablation.transfers
        for variant in released
        if (curve := test_by_epoch(results.finished(variant, transfer.name)))
    }
    if not curves:
        return []
    rows = [
        Row.of(
            f"`{transfer}`",
            markers.variant_label(results, variant),
            str(len(folds)),
            _ACCURACY.value(float(last.mean())),
            _ACCURACY.value(float(best.mean())),
            _ACCURACY.difference(float((best - last).mean())),
            _ACCURACY.interval(*_over_folds(results, transfer, variant, best - last)),
        )
        for (transfer, variant), folds in curves.items()
        for last, best in [last_and_best(folds)]
    ]
    level = f"{100 * (1 - results.ablation.statistics.alpha):.3g} %"
    table = ReportTable(
        name="epochs",
        caption=(
            "What the choice of the epoch by the test labels adds: accuracy (%) at the last epoch and at each fold's "
            "best test epoch, mean over folds (seeds averaged within a fold first), and the difference (pp) with its "
            f"{level} bootstrap interval over folds. Nothing but the choice differs between the two columns."
        ),
        columns=("transfer", "variant", "folds", "last epoch", "best test epoch", "added (pp)", f"{level} interval"),
        align="llrrrrr",
        rows=tuple(rows),
        notes=markers.protocol_notes(results, [variant for _, variant in curves]),
    )
    return [table, _epoch_figure(results, curves)]


def _over_folds(results: StudyResults, transfer: str, variant: str, added: NDArray[np.float64]) -> tuple[float, float]:
    statistics = results.ablation.statistics
    rng = generator(results.ablation.name, transfer, variant, "best test epoch")
    return bootstrap_interval(added, statistics.alpha, statistics.bootstrap_samples, rng)


def _epoch_figure(results: StudyResults, curves: dict[tuple[str, str], dict[str, NDArray[np.float64]]]) -> Figure:
    columns = min(len(curves), 3)
    rows = -(-len(curves) // columns)
    drawing, axes = draw.panels(rows, columns, 2.5 * rows, sharey=True)
    for panel in axes.flat[len(curves) :]:
        panel.set_visible(False)
    for panel, ((transfer, variant), folds) in zip(axes.flat, curves.items(), strict=False):
        _epoch_panel(panel, folds)
        panel.set_title(
            transfer if len({name for _, name in curves}) == 1 else f"{transfer}\n{variant} {RELEASED_MARK}"
        )
        windows = test_windows(results, transfer)
        if windows is not None:
            draw.chance_line(panel, 100 * chance_level("accuracy", windows), vertical=False)
        panel.set_xlabel("fine-tuning epoch")
    for row in axes:
        row[0].set_ylabel("test accuracy (%)")
    seeds = plural(len(results.ablation.seeds), "seed")
    return Figure(
        name="epochs",
        caption=(
            f"Test accuracy by epoch under the released protocol. Grey: one line a fold, {seeds} averaged; black: mean "
            "over folds. Orange triangles: the best epoch of each fold and seed; orange line: their mean, which the "
            "released protocol reports; blue line: the last epoch, with no choice made."
        ),
        alt="Test accuracy by epoch with the last and the best epoch marked; the numbers are in the table above.",
        drawing=drawing,
    )


def _epoch_panel(panel: Any, folds: dict[str, NDArray[np.float64]]) -> None:
    panel.grid(axis="y")
    epochs = min(curves.shape[1] for curves in folds.values())
    lines = 100 * np.array([curves[:, :epochs].mean(axis=0) for curves in folds.values()])
    x = np.arange(1, epochs + 1)
    panel.plot(x, lines.T, color=draw.MUTED, alpha=0.35, linewidth=0.8, zorder=2)
    panel.plot(x, lines.mean(axis=0), color=draw.INK, linewidth=1.8, zorder=4)
    for curves in folds.values():
        for curve in curves:
            best = int(curve.argmax())
            panel.plot(
                best + 1,
                100 * curve[best],
                "^",
                color=draw.BAD,
                alpha=0.55,
                markersize=3.4,
                markeredgewidth=0,
                zorder=5,
            )
    last, best_of_folds = last_and_best(folds)
    # the best is never below the last, so one label goes above its line and the other below
    for level, colour, word, side in (
        (100 * best_of_folds.mean(), draw.BAD, "best test epoch", "bottom"),
        (100 * last.mean(), draw.GOOD, "last epoch", "top"),
    ):
        panel.axhline(level, color=colour, linewidth=1.4, zorder=3)
        panel.annotate(
            f"{word} {level:.1f}", (0, level), xycoords=("axes fraction", "data"),
            xytext=(4, 3 if side == "bottom" else -3), textcoords="offset points",
            fontsize=7.5, color=colour, va=side, fontweight="bold", zorder=6,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
