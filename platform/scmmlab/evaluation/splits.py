"""The folds of a protocol: deterministic, in the order of time and of subject numbers, never by chance."""

from __future__ import annotations

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from scmmlab.config.protocol import (
    HonestProtocol,
    LosoProtocol,
    ProtocolSpec,
    ReleasedProtocol,
    UdaInductiveProtocol,
    UdaTransductiveProtocol,
    ZeroShotProtocol,
)
from scmmlab.errors import SplitError
from scmmlab.evaluation.checks import check_classes, check_nothing_shared
from scmmlab.evaluation.fold import Fold, fold_name
from scmmlab.evaluation.subjects import left_in, subject_groups
from scmmlab.evaluation.trials import Trials
from scmmlab.evaluation.within_subject import FINETUNE, TEST, VALIDATION, part_of_trials, share_count
from scmmlab.tables import FeatureTable, shared_subjects, shared_text


def make_folds(protocol: ProtocolSpec, source: FeatureTable, target: FeatureTable) -> tuple[Fold, ...]:
    """The folds of `protocol`, in the order of their subjects.

    Parameters
    ----------
    protocol : ProtocolSpec
        Who may see what.
    source, target : FeatureTable
        What is pre-trained on, and what is tested on; the source is looked at where its labels are trained on.

    Returns
    -------
    tuple of Fold
        Every subject of the target is tested in exactly one of them.

    Raises
    ------
    SplitError
        If a fold would have a trial or subject on two sides, or lacks a class on one; it names what and where.
    """
    match protocol:
        case HonestProtocol():
            return _within_subject(protocol, target)
        case LosoProtocol():
            return _leave_subjects_out(protocol, protocol.validation_share, target)
        case ZeroShotProtocol() | UdaInductiveProtocol() | UdaTransductiveProtocol():
            return _source_trained(protocol, source, target)
        case ReleasedProtocol(split="within_subject"):
            return _within_subject(protocol, target)
        case ReleasedProtocol():
            return _leave_subjects_out(protocol, None, target)
        case _:
            assert_never(protocol)


def _within_subject(protocol: HonestProtocol | ReleasedProtocol, target: FeatureTable) -> tuple[Fold, ...]:
    trials = Trials.of(target)
    part = part_of_trials(trials, protocol)
    names = {FINETUNE: "fine-tune", VALIDATION: "validation", TEST: "test"}
    if isinstance(protocol, ReleasedProtocol):
        del names[VALIDATION]
    hint = (
        "set protocol.trial_order: time_within_class, which takes the first trials of each class."
        if protocol.trial_order == "time"
        else "give each part a trial of each class (finetune_share, finetune_trials); where a subject has too few "
        "trials of a class, leave subjects out instead (protocol.kind: loso)."
    )

    folds = []
    for subjects in subject_groups(_subjects(target), protocol.subjects_per_fold):
        name = fold_name(subjects)
        in_fold = np.isin(trials.subject, subjects)
        # each subject's split stands by itself, so each must have every class on every side
        for subject in subjects:
            own = trials.subject == subject
            labels = {word: trials.label[own & (part == code)] for code, word in names.items()}
            check_classes(name, f" of subject {subject}", target.manifest.classes, labels, hint)
        rows = {code: _rows((in_fold & (part == code))[trials.of_row]) for code in (FINETUNE, VALIDATION, TEST)}
        check_nothing_shared(name, "trial", {word: trials.of_row[rows[code]] for code, word in names.items()})
        folds.append(Fold(name, subjects, "target", rows[FINETUNE], rows[VALIDATION], rows[TEST]))
    return tuple(folds)


def _leave_subjects_out(
    protocol: LosoProtocol | ReleasedProtocol, validation_share: float | None, target: FeatureTable
) -> tuple[Fold, ...]:
    everyone = _subjects(target)
    hint = "make the folds smaller (protocol.subjects_per_fold), or leave the class out of the target."
    folds = []
    for tested in subject_groups(everyone, protocol.subjects_per_fold):
        name = fold_name(tested)
        others = [subject for subject in everyone if subject not in tested]
        needed = 1 if validation_share is None else 2
        if len(others) < needed:
            raise SplitError(
                f"Fold '{name}' leaves {len(others)} of {len(everyone)} subjects of corpus "
                f"'{target.manifest.corpus}' to train on, where at least {needed} are needed.",
                hint="lower protocol.subjects_per_fold, or give the target more subjects.",
            )
        parts = {"fine-tune": others, "test": list(tested)}
        if validation_share is not None:
            parts["fine-tune"], parts["validation"] = left_in(everyone, tested, validation_share)
        rows = {part: _rows(np.isin(target.subject, subjects)) for part, subjects in parts.items()}
        check_nothing_shared(name, "subject", {part: np.unique(target.subject[own]) for part, own in rows.items()})
        check_classes(name, "", target.manifest.classes, {part: target.label[own] for part, own in rows.items()}, hint)
        nobody = np.zeros(0, dtype=np.int64)
        folds.append(Fold(name, tested, "target", rows["fine-tune"], rows.get("validation", nobody), rows["test"]))
    return tuple(folds)


def _source_trained(
    protocol: ZeroShotProtocol | UdaInductiveProtocol | UdaTransductiveProtocol,
    source: FeatureTable,
    target: FeatureTable,
) -> tuple[Fold, ...]:
    _check_source_trained(protocol.kind, source, target)
    subjects = _subjects(source)
    cut = len(subjects) - share_count(protocol.validation_share, len(subjects))
    finetune = _rows(np.isin(source.subject, subjects[:cut]))
    validation = _rows(np.isin(source.subject, subjects[cut:]))
    sides = {"fine-tune": source.label[finetune], "validation": source.label[validation]}

    is_tested = np.ones(target.subject.size, dtype=bool)
    if not isinstance(protocol, ZeroShotProtocol) and not protocol.tests_all_trials:
        trials = Trials.of(target)
        is_tested = (part_of_trials(trials, protocol) == TEST)[trials.of_row]
    folds = []
    for tested in subject_groups(_subjects(target), protocol.subjects_per_fold):
        name = fold_name(tested)
        own = np.isin(target.subject, tested)
        test, before = _rows(own & is_tested), _rows(own & ~is_tested)
        hint = "make the folds larger (protocol.subjects_per_fold), or leave the class out of both corpora."
        check_classes(name, "", target.manifest.classes, {**sides, "test": target.label[test]}, hint)
        # where all trials are tested, there is nothing before the test
        unlabelled = test if isinstance(protocol, UdaTransductiveProtocol) else before
        folds.append(Fold(name, tested, "source", finetune, validation, test, unlabelled))
    return tuple(folds)


def _check_source_trained(kind: str, source: FeatureTable, target: FeatureTable) -> None:
    """Refuse what makes training on the source meaningless: other classes, nobody to validate on, the same people."""
    if source.manifest.classes != target.manifest.classes:
        raise SplitError(
            f"Protocol '{kind}' needs the same classes in source and target, but source "
            f"'{source.manifest.corpus}' has {list(source.manifest.classes)} and target '{target.manifest.corpus}' "
            f"has {list(target.manifest.classes)}.",
            hint="name the shared classes, in one order, under 'classes' of both.",
        )
    subjects = _subjects(source)
    if len(subjects) < 2:
        raise SplitError(
            f"Protocol '{kind}' needs at least two source subjects, one of whom validates, but source "
            f"'{source.manifest.corpus}' has {len(subjects)}."
        )
    shared = shared_subjects(source.manifest, target.manifest)
    if shared:
        raise SplitError(
            f"Protocol '{kind}' would train on the labels of those it tests: source and target "
            f"{shared_text(source.manifest, target.manifest, shared)}.",
            hint="give source and target different subjects.",
        )


def _subjects(table: FeatureTable) -> list[int]:
    return [int(subject) for subject in np.unique(table.subject)]


def _rows(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.flatnonzero(chosen).astype(np.int64)
