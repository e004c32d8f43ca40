"""Splits never share a trial or subject, follow time, and name what a part lacks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from evaluation.layouts import Layout, layout, layouts, regular
from scmmlab.config import (
    CorpusSelection,
    HonestProtocol,
    LosoProtocol,
    ReleasedProtocol,
    UdaInductiveProtocol,
    UdaTransductiveProtocol,
    ZeroShotProtocol,
)
from scmmlab.config.protocol import ProtocolSpec
from scmmlab.errors import SplitError
from scmmlab.evaluation import Fold, make_folds
from scmmlab.tables import read_table

SEED_LABELS = [2, 1, 0, 0, 1, 2, 0, 1, 2, 2, 1, 0, 1, 2, 0]
SEED_IV_SESSION_1 = [1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3]

# many random layouts have no split that the protocol allows: they are passed over, and that is no fault
LAYOUTS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])

within_subject = st.one_of(
    st.builds(
        HonestProtocol,
        subjects_per_fold=st.integers(1, 4),
        trial_order=st.sampled_from(["time", "time_within_class"]),
        finetune_share=st.sampled_from([0.3, 0.5, 0.6, 0.8]),
        validation_share=st.sampled_from([0.1, 0.25, 0.5]),
    ),
    st.builds(ReleasedProtocol, trial_order=st.sampled_from(["time", "time_within_class"])),
)
subjects_out = st.one_of(
    st.builds(
        LosoProtocol, subjects_per_fold=st.integers(1, 3), validation_share=st.sampled_from([0.1, 0.25, 0.5, 0.9])
    ),
    st.builds(ReleasedProtocol, split=st.just("leave_subjects_out"), subjects_per_fold=st.integers(1, 3)),
)


def units(table: Layout, rows: np.ndarray) -> set[tuple[int, int, int]]:
    return set(zip(table.subject[rows].tolist(), table.session[rows].tolist(), table.trial[rows].tolist(), strict=True))


def folds_or_nothing(protocol: ProtocolSpec, table: Layout) -> tuple[Fold, ...]:
    """The folds, where the layout allows any."""
    try:
        return make_folds(protocol, table, table)
    except SplitError:
        assume(False)
        raise


@LAYOUTS
@given(table=layouts(), protocol=within_subject)
def test_within_subject_no_trial_is_on_two_sides_and_each_class_is_on_every_side(
    table: Layout, protocol: ProtocolSpec
) -> None:
    folds = folds_or_nothing(protocol, table)
    assert sorted(subject for fold in folds for subject in fold.subjects) == np.unique(table.subject).tolist()
    for fold in folds:
        parts = [fold.finetune, fold.validation, fold.test]
        trials = [units(table, rows) for rows in parts]
        assert len(set.union(*trials)) == sum(map(len, trials))
        # no row of the fold's subjects is lost, and none is another subject's
        whole = np.sort(np.concatenate(parts))
        np.testing.assert_array_equal(whole, np.flatnonzero(np.isin(table.subject, fold.subjects)))
        for subject in fold.subjects:
            for rows in parts[:1] + parts[2:] + ([fold.validation] if fold.validation.size else []):
                own = rows[table.subject[rows] == subject]
                assert set(table.label[own].tolist()) == set(range(len(table.manifest.classes)))
        assert (fold.validation.size == 0) == isinstance(protocol, ReleasedProtocol)


@LAYOUTS
@given(table=layouts(min_subjects=3), protocol=subjects_out)
def test_leaving_subjects_out_no_subject_is_on_two_sides(table: Layout, protocol: ProtocolSpec) -> None:
    folds = folds_or_nothing(protocol, table)
    assert sorted(subject for fold in folds for subject in fold.subjects) == np.unique(table.subject).tolist()
    for fold in folds:
        parts = [fold.finetune, fold.validation, fold.test]
        subjects = [set(table.subject[rows].tolist()) for rows in parts]
        assert len(set.union(*subjects)) == sum(map(len, subjects))
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(table.subject.size))
        assert subjects[2] == set(fold.subjects)


@LAYOUTS
@given(table=layouts(), protocol=within_subject, seed=st.integers(0, 2**32 - 1))
def test_under_time_the_folds_do_not_change_when_test_trials_swap_labels(
    table: Layout, protocol: ProtocolSpec, seed: int
) -> None:
    protocol = protocol.model_copy(update={"trial_order": "time"})
    folds = folds_or_nothing(protocol, table)
    label = table.label.copy()
    rng = np.random.default_rng(seed)
    for fold in folds:
        for subject in fold.subjects:
            test = fold.test[table.subject[fold.test] == subject]
            _, first, trial = np.unique(
                np.stack([table.session[test], table.trial[test]]), axis=1, return_index=True, return_inverse=True
            )
            label[test] = rng.permutation(label[test][first])[trial.reshape(-1)]
    shuffled = make_folds(protocol, table, dataclasses.replace(table, label=label))
    for before, after in zip(folds, shuffled, strict=True):
        for part in ("finetune", "validation", "test"):
            np.testing.assert_array_equal(getattr(before, part), getattr(after, part))


def test_seed_is_split_nine_to_six_with_the_last_trial_of_each_class_validating() -> None:
    table = regular([1], SEED_LABELS, sessions=3)
    (fold,) = make_folds(HonestProtocol(), table, table)
    assert {trial for _, _, trial in units(table, fold.test)} == {10, 11, 12, 13, 14, 15}
    assert {trial for _, _, trial in units(table, fold.validation)} == {7, 8, 9}
    assert {trial for _, _, trial in units(table, fold.finetune)} == {1, 2, 3, 4, 5, 6}


def test_time_within_class_takes_the_first_trials_of_each_class() -> None:
    table = regular([1], [0] * 5 + [1] * 5)
    protocol = HonestProtocol(trial_order="time_within_class", finetune_trials=4, validation_share=0.25)
    (fold,) = make_folds(protocol, table, table)
    assert {trial for _, _, trial in units(table, fold.finetune)} == {1, 2, 3, 6, 7, 8}
    assert {trial for _, _, trial in units(table, fold.validation)} == {4, 9}
    assert {trial for _, _, trial in units(table, fold.test)} == {5, 10}


def test_the_trap_of_seed_iv_is_named_with_fold_class_part_and_hint() -> None:
    table = regular([3], SEED_IV_SESSION_1)
    with pytest.raises(
        SplitError, match=r"Fold 'subject 3' has no trial of class 'class 1' in the test part of subject 3"
    ) as caught:
        make_folds(HonestProtocol(finetune_trials=16), table, table)
    assert caught.value.hint is not None
    assert "trial_order: time_within_class" in caught.value.hint


def test_a_single_trial_of_a_class_cannot_be_trained_on_and_tested() -> None:
    table = regular([1], [0, 1])
    with pytest.raises(SplitError, match="in the validation part"):
        make_folds(HonestProtocol(trial_order="time_within_class"), table, table)


def test_more_finetune_trials_than_a_session_has_are_refused() -> None:
    table = regular([1, 2], SEED_LABELS)
    with pytest.raises(SplitError, match=r"finetune_trials.*is 15 and session 1 of subject 1 has 15 trials"):
        make_folds(HonestProtocol(finetune_trials=15), table, table)


def test_a_trial_of_two_classes_is_refused() -> None:
    table = regular([1], SEED_LABELS)
    table.label[0] = 0
    with pytest.raises(SplitError, match="Trial 1 of subject 1, session 1"):
        make_folds(HonestProtocol(), table, table)


def test_groups_differ_by_one_subject_at_most() -> None:
    table = regular(list(range(10, 20)), [0, 1])
    folds = make_folds(LosoProtocol(subjects_per_fold=3), table, table)
    assert [fold.subjects for fold in folds] == [(10, 11, 12), (13, 14, 15), (16, 17), (18, 19)]
    assert [fold.name for fold in folds] == [
        "subjects 10-12",
        "subjects 13-15",
        "subjects 16-17",
        "subjects 18-19",
    ]


def test_loso_validates_on_the_subjects_just_before_the_tested_ones_in_the_circle() -> None:
    table = regular([1, 2, 3, 4, 5, 6], [0, 1])
    folds = make_folds(LosoProtocol(validation_share=0.4), table, table)
    validating = [set(table.subject[fold.validation].tolist()) for fold in folds]
    assert validating == [{5, 6}, {6, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}]


def test_loso_needs_two_other_subjects() -> None:
    table = regular([1, 2], [0, 1])
    with pytest.raises(SplitError, match=r"leaves 1 of 2 subjects .* at least 2 are needed"):
        make_folds(LosoProtocol(), table, table)


def test_released_leaving_subjects_out_trains_on_all_the_others() -> None:
    table = regular([1, 2, 3], [0, 1])
    folds = make_folds(ReleasedProtocol(split="leave_subjects_out"), table, table)
    assert [set(table.subject[fold.finetune].tolist()) for fold in folds] == [{2, 3}, {1, 3}, {1, 2}]
    assert all(fold.validation.size == 0 for fold in folds)


def test_zero_shot_trains_and_validates_on_the_source_and_tests_the_whole_target() -> None:
    source = regular([1, 2, 3, 4], [0, 1], fingerprint="source")
    target = regular([1, 2], [0, 1], windows=3, fingerprint="target")
    folds = make_folds(ZeroShotProtocol(), source, target)
    assert [fold.trained_on for fold in folds] == ["source", "source"]
    assert {subject for fold in folds for subject in source.subject[fold.finetune].tolist()} == {1, 2, 3}
    assert {subject for fold in folds for subject in source.subject[fold.validation].tolist()} == {4}
    assert [set(target.subject[fold.test].tolist()) for fold in folds] == [{1}, {2}]


@pytest.mark.parametrize("protocol", [UdaInductiveProtocol, UdaTransductiveProtocol])
def test_domain_adaptation_trains_on_the_source_and_tests_what_honest_tests(protocol) -> None:
    source = regular([1, 2, 3, 4], [0, 1], fingerprint="source")
    target = regular([1, 2], [0, 1, 0, 1, 0, 1], windows=3, fingerprint="target")
    folds = make_folds(protocol(), source, target)
    assert {fold.trained_on for fold in folds} == {"source"}
    assert {subject for fold in folds for subject in source.subject[fold.finetune].tolist()} == {1, 2, 3}
    assert {subject for fold in folds for subject in source.subject[fold.validation].tolist()} == {4}
    for fold, honest in zip(folds, make_folds(HonestProtocol(), source, target), strict=True):
        assert fold.test.tolist() == honest.test.tolist()
        before = np.sort(np.concatenate([honest.finetune, honest.validation]))
        seen = before if protocol is UdaInductiveProtocol else honest.test
        assert fold.unlabelled.tolist() == seen.tolist()


def test_transductive_domain_adaptation_may_test_all_of_the_target_even_one_trial_of_a_class() -> None:
    source = regular([1, 2, 3, 4], [0, 1], fingerprint="source")
    target = regular([1, 2, 3], [0, 1], windows=3, fingerprint="target")
    folds = make_folds(UdaTransductiveProtocol(tested="all_trials", subjects_per_fold=2), source, target)
    for fold, zero_shot in zip(folds, make_folds(ZeroShotProtocol(subjects_per_fold=2), source, target), strict=True):
        assert fold.test.tolist() == fold.unlabelled.tolist() == zero_shot.test.tolist()
        assert fold.finetune.tolist() == zero_shot.finetune.tolist()


@LAYOUTS
@given(table=layouts(), subjects=st.integers(1, 3), order=st.sampled_from(["time", "time_within_class"]))
def test_inductive_domain_adaptation_sees_no_trial_that_it_tests_and_nobody_else(table, subjects, order) -> None:
    source = regular([101, 102, 103], range(len(table.manifest.classes)), fingerprint="source")
    source = dataclasses.replace(source, manifest=table.manifest.model_copy(update={"fingerprint": "source"}))
    protocol = UdaInductiveProtocol(subjects_per_fold=subjects, trial_order=order)
    try:
        folds = make_folds(protocol, source, table)
    except SplitError:
        assume(False)
        raise
    for fold in folds:
        assert not units(table, fold.unlabelled) & units(table, fold.test)
        assert set(table.subject[fold.unlabelled].tolist()) <= set(fold.subjects)


@pytest.mark.parametrize("protocol", [ZeroShotProtocol, UdaInductiveProtocol, UdaTransductiveProtocol])
def test_no_protocol_takes_the_labels_of_those_it_tests_for_the_sources(protocol) -> None:
    table = regular([1, 2, 3], [0, 1])
    with pytest.raises(SplitError, match=f"'{protocol().kind}' would train .* share subjects 1-3"):
        make_folds(protocol(), table, table)


@pytest.mark.parametrize("protocol", [HonestProtocol, LosoProtocol, ZeroShotProtocol, ReleasedProtocol])
def test_other_protocols_grant_no_unlabelled_window_of_the_test(protocol) -> None:
    source = regular([1, 2, 3, 4], [0, 1], fingerprint="source")
    target = regular([1, 2, 3], [0, 1, 0, 1, 0, 1], fingerprint="target")
    assert all(fold.unlabelled.size == 0 for fold in make_folds(protocol(), source, target))


def test_zero_shot_refuses_other_classes() -> None:
    source = regular([1, 2, 3], [0, 1, 2], fingerprint="source")
    with pytest.raises(SplitError, match="needs the same classes"):
        make_folds(ZeroShotProtocol(), source, regular([1], [0, 1]))


def test_sessions_are_split_each_by_itself() -> None:
    # the second session is longer, and its trial numbers start anew
    trials = [(1, 1, number, number % 2, 1) for number in range(4)] + [
        (1, 2, number, number % 2, 1) for number in range(8)
    ]
    table = layout(trials, ("a", "b"))
    (fold,) = make_folds(ReleasedProtocol(finetune_share=0.5), table, table)
    assert units(table, fold.finetune) == {(1, 1, 0), (1, 1, 1), (1, 2, 0), (1, 2, 1), (1, 2, 2), (1, 2, 3)}


def test_half_of_the_shipped_corpus_is_left_out_in_folds_of_three() -> None:
    whole = read_table("shipped:eegmat")
    source = whole.select(CorpusSelection(table="", subjects=tuple(range(18))))
    target = whole.select(CorpusSelection(table="", subjects=tuple(range(18, 36))))
    folds = make_folds(LosoProtocol(subjects_per_fold=3), source, target)
    assert [fold.name for fold in folds][:2] == ["subjects 18-20", "subjects 21-23"]
    assert len(folds) == 6
    assert all(fold.finetune.dtype == fold.test.dtype == np.int64 for fold in folds)
    # subjects 18-20 are tested: of the fifteen others, in the circle from 21 on, the last four validate
    assert np.unique(target.subject[folds[0].validation]).tolist() == [32, 33, 34, 35]
    zero_shot = make_folds(ZeroShotProtocol(subjects_per_fold=3), source, target)
    assert np.unique(source.subject[zero_shot[0].finetune]).tolist() == list(range(13))


def test_classes_recorded_one_after_the_other_need_time_within_class() -> None:
    target = read_table("shipped:eegmat").select(CorpusSelection(table="", subjects=(1, 2)))
    with pytest.raises(
        SplitError, match=r"'arithmetic' in the validation part .* 'rest' in the test part of subject 1"
    ):
        make_folds(HonestProtocol(), target, target)
    for fold in make_folds(HonestProtocol(trial_order="time_within_class"), target, target):
        # of six trials a class: three to train on, one to validate, two to test
        sides = [fold.finetune, fold.validation, fold.test]
        assert [np.unique(target.trial[rows]).tolist() for rows in sides] == [
            [1, 2, 3, 7, 8, 9],
            [4, 10],
            [5, 6, 11, 12],
        ]


def test_a_class_of_one_trial_is_better_split_by_subjects() -> None:
    table = regular([1], [0, 1])
    with pytest.raises(SplitError) as caught:
        make_folds(HonestProtocol(trial_order="time_within_class"), table, table)
    assert "loso" in str(caught.value.hint)
