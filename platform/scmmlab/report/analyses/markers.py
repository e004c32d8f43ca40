"""The markers beside variants, values and verdicts in tables, and the footnotes that explain them."""

from __future__ import annotations

from collections.abc import Iterable

from scmmlab.config import Regime, ReleasedProtocol, UdaTransductiveProtocol
from scmmlab.evaluation import Verdict
from scmmlab.report.card import RowKind, Tone
from scmmlab.report.comparisons import judged_alike
from scmmlab.report.inputs import StudyResults
from scmmlab.report.protocol_text import RELEASED_MARK, TRANSDUCTIVE_MARK, TRANSDUCTIVE_NOTE, released_note

REFERENCE_MARK = "(reference)"
OTHER_PROTOCOL_MARK = "¶"
FEWER_SEEDS_MARK = "†"
VERDICT_MARKS = {Verdict.BETTER: "▲", Verdict.WORSE: "▼", Verdict.INCONCLUSIVE: ""}
TONES: dict[Verdict, Tone] = {Verdict.BETTER: "good", Verdict.WORSE: "bad", Verdict.INCONCLUSIVE: "muted"}


def is_released(results: StudyResults, variant: str) -> bool:
    """Whether a variant is judged by the released protocol."""
    experiment = results.experiments().get(variant)
    return experiment is not None and isinstance(experiment.protocol, ReleasedProtocol)


def variants_by_regime(results: StudyResults) -> dict[Regime, list[str]]:
    """Variants in the study's order by the label regime that they are trained in, that of the reference first."""
    experiments, reference = results.experiments(), results.ablation.statistics.reference
    found: dict[Regime, list[str]] = {}
    known = [name for name in results.ablation.variants if name in experiments]
    for variant in sorted(known, key=lambda name: name != reference):
        found.setdefault(experiments[variant].protocol.regime, []).append(variant)
    order = list(results.ablation.variants)
    return {regime: sorted(variants, key=order.index) for regime, variants in found.items()}


def is_transductive(results: StudyResults, variant: str) -> bool:
    """Whether a variant may see the windows that it is tested on."""
    experiment = results.experiments().get(variant)
    return experiment is not None and isinstance(experiment.protocol, UdaTransductiveProtocol)


def is_judged_otherwise(results: StudyResults, variant: str) -> bool:
    """Whether a variant is judged by another leak-free protocol, or by other splits, than the reference."""
    experiments = results.experiments()
    reference = results.ablation.statistics.reference
    if variant not in experiments or reference not in experiments or is_released(results, variant):
        return False
    return not judged_alike(experiments[reference].protocol, experiments[variant].protocol)


def variant_label(results: StudyResults, variant: str, reference: bool = True) -> str:
    """A variant's name as code, marked where it is the reference, leaks, or is judged by another protocol."""
    label = f"`{variant}`"
    if is_released(results, variant):
        label += f" {RELEASED_MARK}"
    elif is_transductive(results, variant):
        label += f" {TRANSDUCTIVE_MARK}"
    elif is_judged_otherwise(results, variant):
        label += f" {OTHER_PROTOCOL_MARK}"
    if reference and variant == results.ablation.statistics.reference:
        label += f" {REFERENCE_MARK}"
    return label


def row_kind(results: StudyResults, variant: str) -> RowKind:
    """How a variant's row stands in a table."""
    return "reference" if variant == results.ablation.statistics.reference else "plain"


def plain_label(results: StudyResults, variant: str) -> str:
    """The same for a figure: without code, and without a word for the reference."""
    return variant_label(results, variant, reference=False).replace("`", "")


def protocol_notes(results: StudyResults, variants: Iterable[str]) -> tuple[str, ...]:
    """The footnotes of the markers of these variants, each once."""
    notes: dict[str, None] = {}
    for variant in variants:
        protocol = results.experiments()[variant].protocol if variant in results.experiments() else None
        if isinstance(protocol, ReleasedProtocol):
            notes[released_note(protocol)] = None
        elif isinstance(protocol, UdaTransductiveProtocol):
            notes[TRANSDUCTIVE_NOTE] = None
        elif is_judged_otherwise(results, variant):
            notes[f"{OTHER_PROTOCOL_MARK} judged by another protocol or split than the reference."] = None
    return tuple(notes)
