"""What was run: the protocols in words, the transfers, the data and the variants."""

from __future__ import annotations

from scmmlab.config import CorpusSelection, ReleasedProtocol, TransferSpec
from scmmlab.report.analyses import markers
from scmmlab.report.analysis import Analysis
from scmmlab.report.card import Block, Bullets, Card, ReportTable, Row, Text
from scmmlab.report.inputs import StudyResults
from scmmlab.report.measures import NOTHING, listed, plural, setting
from scmmlab.report.protocol_text import protocol_text
from scmmlab.report.values import test_windows
from scmmlab.study import NOT_REPEATABLE
from scmmlab.tables import Manifest, mixed_features
from scmmlab.tables.checks import number_ranges

_JUDGED = {
    True: "a probe: the validation balanced accuracy, mean over folds, of a quick classifier on the frozen embedding",
    False: "the validation balanced accuracy of what was trained, mean over folds",
}
"""Whether a method's settings are probed on their way → what they are judged by."""


class WhatWasRun(Analysis):
    """Everything that a reader must know before the first figure."""

    slug = "what-was-run"
    title = "What was run"

    def compute(self, results: StudyResults) -> Card:
        """Protocols, transfers and data; of an ablation the variants too."""
        blocks: list[Block] = [Bullets(tuple(_protocols(results)))]
        blocks += [_transfers(results), _data(results)]
        blocks += [Text(sentence) for sentence in _shared_recordings(results)]
        if results.study.kind == "ablation":
            blocks.append(_variants(results))
        return self.card(*blocks)


def _protocols(results: StudyResults) -> list[str]:
    """Each protocol of the study once, with the variants that it judges."""
    if results.study.kind == "sweep":
        protocol = results.search.base.protocol
        return [
            f"Protocol `{protocol.kind}`. {protocol_text(results.search.base)}",
            f"A setting is judged by {_JUDGED[results.search.base.budget is not None]}. No test label takes part in "
            "the search, and no figure here is a test figure.",
            *([] if results.search.repeatable else [NOT_REPEATABLE]),
        ]
    words = {}
    everywhere = len(results.study.transfers)
    judged_by: dict[str, dict[str, list[str]]] = {}
    for cell in results.cells:
        text = protocol_text(cell.experiment)
        transfers = judged_by.setdefault(text, {}).setdefault(cell.variant, [])
        if cell.transfer not in transfers:
            transfers.append(cell.transfer)
        words[text] = cell.experiment.protocol
    sentences = []
    for text, by_variant in judged_by.items():
        variants = [
            f"`{variant}`"
            + ("" if len(transfers) == everywhere else f" on {listed([f'`{name}`' for name in transfers])}")
            for variant, transfers in by_variant.items()
        ]
        kind = words[text].kind
        leaky = " (leaks: shown for comparison only)" if isinstance(words[text], ReleasedProtocol) else ""
        judged = "all variants" if len(judged_by) == 1 else listed(variants)
        sentences.append(f"Protocol `{kind}`{leaky} judges {judged}. {text}")
    return sentences


def _transfers(results: StudyResults) -> ReportTable:
    changed = any(transfer.set for transfer in results.study.transfers)
    rows = [
        Row.of(
            f"`{transfer.name}`",
            _side(results, transfer.source),
            _side(results, transfer.target),
            _channels(results, transfer),
            _test_parts(results, transfer),
            *([_changes(transfer)] if changed else []),
        )
        for transfer in results.study.transfers
    ]
    return ReportTable(
        name="transfers",
        caption=(
            "Transfers: pre-trained on the source without its labels, fine-tuned and tested on the target (under "
            "`zero_shot` fine-tuned on the source, with its labels)."
        ),
        columns=(
            "transfer",
            "source",
            "target",
            "channels",
            "test windows by class",
            *(["changes of the base"] if changed else []),
        ),
        align="lllrl" + "l" * changed,
        rows=tuple(rows),
        notes=tuple(note for transfer in results.study.transfers if (note := _mixed_note(results, transfer))),
    )


def _changes(transfer: TransferSpec) -> str:
    return ", ".join(f"`{path}` {setting(value)}" for path, value in transfer.set.items()) or NOTHING


def _mixed_note(results: StudyResults, transfer: TransferSpec) -> str:
    """In what the features of both sides differ, where the study mixes them."""
    source, target = (results.corpora.get(side.table) for side in (transfer.source, transfer.target))
    mixed = mixed_features(source, target) if source and target else ""
    return f"`{transfer.name}`: {mixed}" if mixed else ""


def _side(results: StudyResults, selection: CorpusSelection) -> str:
    """`eegmat: 18 subjects (0-17)`."""
    manifest = results.corpora.get(selection.table)
    name = manifest.corpus if manifest else selection.table
    parts = []
    if selection.subjects is not None:
        parts.append(f"{plural(len(selection.subjects), 'subject')} ({number_ranges(selection.subjects)})")
    elif manifest is not None:
        parts.append(f"all {plural(len(manifest.subjects), 'subject')}")
    if selection.sessions is not None:
        parts.append(f"sessions {number_ranges(selection.sessions)}")
    if selection.classes is not None:
        names = [
            name if selection.members(name) == (name,) else f"{name} ({' + '.join(selection.members(name))})"
            for name in selection.classes
        ]
        parts.append(f"classes {', '.join(names)}")
    return f"{name}: {', '.join(parts)}" if parts else name


def _channels(results: StudyResults, transfer: TransferSpec) -> str:
    for cell in results.cells:
        if cell.transfer == transfer.name and cell.record:
            return str(len(cell.record["channels"]))
    return NOTHING


def _test_parts(results: StudyResults, transfer: TransferSpec) -> str:
    windows = test_windows(results, transfer.name) if results.study.kind == "ablation" else None
    classes = next(
        (cell.record["classes"] for cell in results.cells if cell.transfer == transfer.name and cell.record), None
    )
    if windows is None or classes is None:
        return NOTHING
    return ", ".join(f"{name} {count:,}" for name, count in zip(classes, windows.tolist(), strict=True))


def _data(results: StudyResults) -> ReportTable:
    used = dict.fromkeys(
        selection.table for transfer in results.study.transfers for selection in (transfer.source, transfer.target)
    )
    rows, notes = [], []
    for table in used:
        manifest = results.corpora.get(table)
        if manifest is None:
            rows.append(Row.of(table, *[NOTHING] * 6))
            continue
        rows.append(
            Row.of(
                manifest.corpus,
                f"{len(manifest.subjects):,}",
                f"{manifest.windows:,}",
                f"{manifest.window_s:g} s",
                f"{len(manifest.channels)} × {len(manifest.bands)}",
                _features(manifest),
                f"`{manifest.fingerprint[:12]}`",
            )
        )
        notes += [f"{manifest.corpus}: {manifest.attribution}"] if manifest.attribution else []
        bands = ", ".join(f"{name} {low:g}–{high:g}" for name, (low, high) in manifest.bands.items())
        notes.append(f"{manifest.corpus}: classes {', '.join(manifest.classes)}; bands (Hz) {bands}.")
    return ReportTable(
        name="data",
        caption="Data: whole feature tables, of which a transfer may take a part. Features are channels × bands.",
        columns=("corpus", "subjects", "windows", "window", "features", "made", "fingerprint"),
        align="lrrrrll",
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _features(manifest: Manifest) -> str:
    origin = {
        "computed": "computed from recordings",
        "shipped": "shipped by the corpus's authors",
        "synthetic": "synthetic",
    }.get(str(manifest.provenance.get("origin")), str(manifest.provenance.get("origin")))
    return f"{manifest.feature.replace('_', ' ')}, {origin}"


def _shared_recordings(results: StudyResults) -> list[str]:
    """Where source and target share subjects of one table, pre-training sees test windows: allowed, and said."""
    sentences = []
    for transfer in results.study.transfers:
        source, target = transfer.source, transfer.target
        manifest = results.corpora.get(source.table)
        if source.table != target.table or manifest is None:
            continue
        sides = [set(manifest.subjects if side.subjects is None else side.subjects) for side in (source, target)]
        shared = sorted(sides[0] & sides[1])
        sessions = [set(side.sessions) if side.sessions is not None else None for side in (source, target)]
        apart = None not in sessions and not (sessions[0] or set()) & (sessions[1] or set())
        if shared and not apart:
            sentences.append(
                f"`{transfer.name}`: source and target share {plural(len(shared), 'subject')} of one table "
                f"({number_ranges(shared)}), so pre-training sees windows of the test parts, without their labels "
                "(transductive)."
            )
    return sentences


def _variants(results: StudyResults) -> ReportTable:
    study = results.ablation
    rows = []
    for name, variant in study.variants.items():
        changes = (
            "; ".join(f"`{path}` = {setting(value)}" for path, value in variant.set.items()) or "nothing: the base"
        )
        kind = markers.row_kind(results, name)
        rows.append(Row.of(markers.variant_label(results, name), variant.description or NOTHING, changes, kind=kind))
    return ReportTable(
        name="variants",
        caption="Variants: what each of them changes in the base settings (listed at the end).",
        columns=("variant", "what it is", "changes"),
        align="lll",
        rows=tuple(rows),
        notes=markers.protocol_notes(results, study.variants),
    )
