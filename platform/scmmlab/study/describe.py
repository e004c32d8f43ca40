"""A plan in words: what will be run, who may see what, and what is shared."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from scmmlab.config import (
    Choices,
    CorpusSelection,
    Domain,
    HonestProtocol,
    IntRange,
    LosoProtocol,
    ProtocolSpec,
    ReleasedProtocol,
    SweepSpec,
    TransferSpec,
    UdaInductiveProtocol,
    UdaTransductiveProtocol,
    ZeroShotProtocol,
    conditions,
    never_searched,
    sampling_order,
)
from scmmlab.config.experiment import TrainedStage
from scmmlab.evaluation.within_subject import TrialSplit
from scmmlab.methods.registry import method_of
from scmmlab.study.checks import selected_classes, selected_subjects
from scmmlab.study.plan import Plan
from scmmlab.tables import Manifest, mixed_features
from scmmlab.tables.checks import number_ranges

NOT_REPEATABLE = (
    "Settings are sampled and stopped in the order in which probes arrive (synchronous: false): with several workers "
    "that depends on timing, and another run need not choose the same setting, nor give the same bytes."
)
"""Of a sweep whose order is given up."""


def describe(plan: Plan, done: Collection[str] = ()) -> str:
    """The plan as a text of several paragraphs.

    Parameters
    ----------
    plan : Plan
        The plan.
    done : collection of str
        Keys of finished stages, of cells and of pre-training.
    """
    parts = [_head(plan), _transfers(plan), _protocols(plan)]
    parts += [_space(plan.study)] if isinstance(plan.study, SweepSpec) else [_cells(plan, done), _stages(plan, done)]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def protocol_sentence(protocol: ProtocolSpec) -> str:
    """Who may see what, in a sentence."""
    fold = (
        "each subject is a fold" if protocol.subjects_per_fold == 1 else f"{protocol.subjects_per_fold} subjects a fold"
    )
    epoch = {
        "last": "the last epoch is judged",
        "best_validation": "the epoch that is best on validation is judged",
        "best_test": "the epoch that is best ON THE TEST LABELS is reported",
    }[protocol.epoch_selection]
    match protocol:
        case HonestProtocol():
            split = (
                f"{_first_trials(protocol)} of each target subject are fine-tuned on, their last "
                f"{protocol.validation_share:.0%} validate, the rest is tested"
            )
        case LosoProtocol():
            split = (
                f"target subjects are left out, fine-tuned on the others ({protocol.validation_share:.0%} of whom "
                "validate)"
            )
        case ZeroShotProtocol():
            split = (
                "the classifier learns on the source's labels alone "
                f"({protocol.validation_share:.0%} of its subjects validate)"
            )
        case UdaInductiveProtocol() | UdaTransductiveProtocol():
            seen = "the windows of these" if isinstance(protocol, UdaInductiveProtocol) else "the TESTED windows"
            split = (
                f"the classifier learns on the source's labels alone ({protocol.validation_share:.0%} of its subjects "
                f"validate); {_first_trials(protocol)} of each target subject are not tested, and {seen} may be seen "
                "without their labels"
            )
        case ReleasedProtocol():
            within = protocol.split == "within_subject"
            split = f"{_first_trials(protocol)} of each target subject are fine-tuned on" if within else (
                "target subjects are left out, fine-tuned on the others"
            )  # fmt: skip
            split += ", nothing validates"
    return f"{protocol.kind}: {split}; {fold}; {epoch}."


def transfer_sentence(transfer: TransferSpec, source: Manifest, target: Manifest, channels: Collection[str]) -> str:
    """What is pre-trained on and what is tested, in a sentence."""
    classes = ", ".join(selected_classes(transfer.target, target))
    maps = [
        f"; classes of {manifest.corpus} {text}"
        for selection, manifest in ((transfer.source, source), (transfer.target, target))
        if (text := _class_map(selection, manifest))
    ]
    mixed = mixed_features(source, target)
    return (
        f"{transfer.name}: from {_selection(transfer.source, source)} to {_selection(transfer.target, target)}; "
        f"{len(channels)} channels × {len(source.bands)} bands; classes {classes}{''.join(dict.fromkeys(maps))}."
        + (f" {mixed}" if mixed else "")
    )


def settings_sentence(transfer: TransferSpec) -> str:
    """What a transfer changes in the base, in a line; empty where it changes nothing."""
    return ", ".join(f"{path} {_value(value)}" for path, value in _flat(transfer.set))


def _head(plan: Plan) -> Iterator[str]:
    study = plan.study
    if isinstance(study, SweepSpec):
        size = f"{study.tune_trials} settings, {study.concurrency} at a time, by {study.sampler}"
    else:
        size = (
            f"{_count(len(study.variants), 'variant')} × {_count(len(study.transfers), 'transfer')} × "
            f"{_count(len(study.seeds), 'seed')} = {_count(len(plan.cells), 'cell')}"
        )
    yield f"{study.kind} '{study.name}': {size}"
    if study.description:
        yield study.description


def _transfers(plan: Plan) -> Iterator[str]:
    yield "Transfers"
    for transfer in plan.study.transfers:
        channels = plan.channels[transfer.name]
        yield f"  {transfer_sentence(transfer, plan.source(transfer), plan.target(transfer), channels)}"
        if transfer.set:
            yield f"    with {settings_sentence(transfer)}"


def _protocols(plan: Plan) -> Iterator[str]:
    yield "Protocols"
    users: dict[str, dict[str, list[str]]] = {}
    for cell in plan.cells or [plan.sampled("all settings", {})]:
        transfers = users.setdefault(protocol_sentence(cell.experiment.protocol), {}).setdefault(cell.variant, [])
        if cell.transfer.name not in transfers:
            transfers.append(cell.transfer.name)
    for sentence, variants in users.items():
        yield f"  {sentence}"
        everywhere = len(plan.study.transfers)
        yield "    " + ", ".join(
            variant if len(transfers) == everywhere else f"{variant} ({', '.join(transfers)})"
            for variant, transfers in variants.items()
        )


def _space(study: SweepSpec) -> Iterator[str]:
    yield "Search space"
    width = max(map(len, study.space))
    never = never_searched(study.space, study.base)
    for path in sampling_order(study.space):
        domain = study.space[path]
        condition = _condition(domain) + (" (never in this base)" if path in never else "")
        yield f"  {path:{width}}  {_domain(domain)}{condition}"
    yield f"Judged by balanced accuracy on validation windows, every {_count(study.report_every, 'epoch')}" + (
        f"; the poorer settings are stopped from epoch {study.asha.grace_epochs} on "
        f"(one in {study.asha.reduction_factor} goes on)."
        if study.asha
        else "."
    )
    if study.resources.gpus_per_worker:
        yield f"Settings are tried by {'CPU' if method_of(study.base).runs_on == 'cpu' else 'GPU'} workers."
    if not study.repeatable:
        yield NOT_REPEATABLE
    if "epochs" in study.objectives:
        yield "Fewer epochs are an objective too: the sampler looks for the best balanced accuracy at each cost."


def _domain(domain: Domain) -> str:
    """What a path may be: `numbers from 0.1 to 0.9`."""
    if isinstance(domain, Choices):
        return "one of " + ", ".join(map(_value, domain.choices))
    kind = "whole numbers" if isinstance(domain, IntRange) else "numbers"
    text = f"{kind} from {domain.low:g} to {domain.high:g}"
    return text + (" by logarithm" if domain.log else f" in steps of {domain.step:g}" if domain.step else "")


def _condition(domain: Domain) -> str:
    """`, where masking.mode is random or hybrid`; empty where it is searched always."""
    parts = [f"{path} is {' or '.join(map(_value, values))}" for path, values in conditions(domain).items()]
    return f", where {' and '.join(parts)}" if parts else ""


def _cells(plan: Plan, done: Collection[str]) -> Iterator[str]:
    yield "Cells"
    rows = [("variant", "transfer", "seed", "pre-training", "cell", "")]
    for cell in plan.cells:
        shared = len(plan.pretraining[cell.pretrain_key]) if cell.pretrain_key else 0
        pretraining = f"{cell.pretrain_key} (of {shared})" if shared > 1 else cell.pretrain_key or "none"
        state = "finished" if cell.key in done else "to run"
        first = plan.distinct[cell.key]
        same = f", the same as {first.variant}" if first != cell else ""
        rows.append((cell.variant, cell.transfer.name, str(cell.seed), pretraining, cell.key, state + same))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def _stages(plan: Plan, done: Collection[str]) -> Iterator[str]:
    yield "Stages"
    todo = sum(key not in done for key in plan.distinct)
    needed = [key for key, cells in plan.pretraining.items() if any(cell.key not in done for cell in cells)]
    left = sum(key not in done for key in needed)
    saved_pretrainings, saved_cells = plan.saved
    shared = sum(len(cells) for cells in plan.pretraining.values() if len(cells) > 1)
    yield (
        f"  {_count(len(plan.pretraining), 'pre-training')}, {left} to run"
        + (f"; {shared} cells share theirs, which saves {saved_pretrainings}" if saved_pretrainings else "")
    )
    yield (
        f"  {_count(len(plan.distinct), 'fine-tuning')}, {todo} to run"
        + (f"; cells that are the same save {saved_cells}" if saved_cells else "")
    )
    if plan.study.resources.gpus_per_worker and todo:
        stages = plan.stages_by_place(done)
        yield f"  on GPU workers {_stage_counts(stages.get('any'))}, on CPU workers {_stage_counts(stages.get('cpu'))}"


def _stage_counts(counts: Mapping[TrainedStage, int] | None) -> str:
    """`1 pre-training and 3 fine-tunings`."""
    nouns: dict[TrainedStage, str] = {"pretrain": "pre-training", "finetune": "fine-tuning"}
    return (
        " and ".join(_count(counts[kind], noun) for kind, noun in nouns.items() if counts[kind]) if counts else "none"
    )


def _first_trials(protocol: TrialSplit) -> str:
    trials = (
        f"the first {protocol.finetune_share:.0%} of the trials"
        if protocol.finetune_trials is None
        else f"the first {_count(protocol.finetune_trials, 'trial')}"
    )
    return f"{trials} of each session" + (" and class" if protocol.trial_order == "time_within_class" else "")


def _selection(selection: CorpusSelection, manifest: Manifest) -> str:
    subjects = selected_subjects(selection, manifest)
    text = f"{manifest.corpus} ({_count(len(subjects), 'subject')}: {number_ranges(subjects)}"
    if selection.sessions:
        text += f"; sessions {number_ranges(sorted(selection.sessions))}"
    return text + ")"


def _class_map(selection: CorpusSelection, manifest: Manifest) -> str:
    """`sad → negative, happy → positive; fear left out`; nothing where no class is renamed or joined."""
    if selection.class_map is None or selection.classes is None:
        return ""
    text = ", ".join(f"{' + '.join(selection.members(name))} → {name}" for name in selection.classes)
    used = {member for name in selection.classes for member in selection.members(name)}
    left_out = [name for name in manifest.classes if name not in used]
    return f"{text} ({', '.join(left_out)} left out)" if left_out else text


def _flat(changes: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for path, value in changes.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{path}.")
        else:
            yield f"{prefix}{path}", value


def _value(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
