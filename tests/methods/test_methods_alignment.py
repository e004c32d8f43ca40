"""Each alignment does what its equation says, and what another implementation does where there is a right one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from training_cases import CHANNELS, SOURCE, TARGET, TRANSFER

import scmmlab
from scmmlab.config import CorpusSelection, ExperimentSpec, LosoProtocol, resolve_variant
from scmmlab.config.loading import study_from_values
from scmmlab.errors import SpecError, TrainingError
from scmmlab.evaluation import make_folds
from scmmlab.methods.alignment.coral import coral
from scmmlab.methods.alignment.maps import mapped
from scmmlab.methods.alignment.recentring import Moments, by_subject, recentred
from scmmlab.methods.alignment.subspace import subspace
from scmmlab.methods.alignment.transfer_components import transfer_components
from scmmlab.methods.alignment.transport import transport
from scmmlab.methods.pretraining_view import what_matters
from scmmlab.methods.registry import method_of
from scmmlab.study.keys import cell_key
from scmmlab.tables import read_table

with sklearn.config_context():
    # importing it turns metadata routing on for the whole process, which the context takes back
    from skada import CORALAdapter, SubspaceAlignmentAdapter

ALIGNABLE = ("linear", "ridge", "lda", "svm", "knn", "mlp")
KINDS = ("recentre", "coral", "subspace", "tca", "ot")


def sides(source=60, target=45, features=6, seed=0):
    """Windows that differ in mean, spread and correlation."""
    rng = np.random.default_rng(seed)
    mix_s, mix_t = rng.normal(size=(2, features, features))
    return rng.normal(size=(source, features)) @ mix_s, rng.normal(size=(target, features)) @ mix_t + 1.5


def by_skada(adapter, source, target):
    x, domain = np.concatenate((source, target)), np.repeat([1, -2], (len(source), len(target)))
    out = adapter.fit_transform(x, sample_domain=domain)
    return out[: len(source)], out[len(source) :]


def covariance(x):
    return np.cov(x.T, bias=True)


# --- CORAL -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.0, 0.3])
def test_coral_is_skada_s_but_for_the_place_of_both(rho):
    source, target = sides()
    # skada's identity is as large as the mean variance, ours is 1
    source, target = (x / np.sqrt(x.var(axis=0).mean()) for x in (source, target))
    theirs_s, theirs_t = by_skada(CORALAdapter(reg=rho), source, target)
    maps = coral(source, target, rho, to_target_mean=True)
    # skada takes the target's mean off both
    np.testing.assert_allclose(maps.source(source) - target.mean(0), theirs_s, atol=1e-8)
    np.testing.assert_allclose(maps.target(target) - target.mean(0), theirs_t, atol=1e-8)
    kept = coral(source, target, rho, to_target_mean=False).source(source)
    np.testing.assert_allclose(kept - source.mean(0), theirs_s, atol=1e-8)


def test_coral_gives_the_source_mean_and_covariance_of_the_target():
    source, target = sides()
    moved = coral(source, target, 0.0, to_target_mean=True).source(source)
    np.testing.assert_allclose(moved.mean(0), target.mean(0), atol=1e-10)
    np.testing.assert_allclose(covariance(moved), covariance(target), atol=1e-10)
    kept = coral(source, target, 0.0, to_target_mean=False).source(source)
    np.testing.assert_allclose(kept.mean(0), source.mean(0), atol=1e-10)
    np.testing.assert_allclose(covariance(kept), covariance(target), atol=1e-10)


def test_coral_of_nothing_but_the_identity_moves_means_alone():
    source, target = sides()
    moved = coral(source, target, 1.0, to_target_mean=True).source(source)
    np.testing.assert_allclose(moved, source - source.mean(0) + target.mean(0), atol=1e-12)


def test_coral_of_sides_that_are_alike_changes_nothing():
    source, _ = sides()
    np.testing.assert_allclose(coral(source, source, 0.1, to_target_mean=True).source(source), source, atol=1e-10)


def test_coral_says_that_a_covariance_cannot_be_inverted():
    source, target = sides(source=5)
    with pytest.raises(TrainingError, match=r"CORAL needs .* inverted, but .* Hint: raise alignment.rho"):
        coral(source, target, 0.0, to_target_mean=True)
    assert np.isfinite(coral(source, target, 0.01, to_target_mean=True).source(source)).all()


# --- subspace alignment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("components", [1, 3, 6])
def test_subspace_alignment_is_skada_s_but_for_the_sign_of_an_axis(components):
    source, target = sides()
    theirs_s, theirs_t = by_skada(SubspaceAlignmentAdapter(n_components=components), source, target)
    maps = subspace(source, target, components)
    ours_s, ours_t = maps.source(source), maps.target(target)
    sign = np.sign((ours_t * theirs_t).sum(0))
    np.testing.assert_allclose(ours_t, theirs_t * sign, atol=1e-8)
    np.testing.assert_allclose(ours_s, theirs_s * sign, atol=1e-8)


def test_subspace_of_sides_that_are_alike_is_their_principal_axes():
    source, _ = sides()
    maps = subspace(source, source, 3)
    np.testing.assert_allclose(maps.source(source), maps.target(source), atol=1e-10)
    variance = covariance(maps.target(source))
    np.testing.assert_allclose(variance, np.diag(np.linalg.eigvalsh(covariance(source))[:2:-1]), atol=1e-10)


def test_a_space_of_more_dimensions_than_there_are_is_refused():
    source, target = sides(features=6)
    with pytest.raises(TrainingError, match=r"'alignment.components' must be at most .* here 6, got 7"):
        subspace(source, target, 7)
    with pytest.raises(TrainingError, match=r"'alignment.components' must be at most .* here 104, got 105"):
        transfer_components(source, target, 105, 1.0)
    with pytest.raises(TrainingError, match=r"'alignment.components' must be at most the dimensions"):
        transfer_components(source[:1].repeat(10, 0), target[:1].repeat(10, 0), 5, 1.0)


# --- transfer component analysis -------------------------------------------------------------------------------------


def kernel_terms(source, target):
    """K, KLK and KHK by their definitions."""
    x = np.concatenate((source, target))
    squared = ((x[:, None] - x[None]) ** 2).sum(-1)
    k = np.exp(-squared / (x.shape[1] * x.var()))
    e = np.concatenate((np.full(len(source), 1 / len(source)), np.full(len(target), -1 / len(target))))
    h = np.eye(len(x)) - 1 / len(x)
    return k, k @ np.outer(e, e) @ k, k @ h @ k


@pytest.mark.parametrize("mu", [0.01, 1.0])
def test_transfer_components_solve_their_equation_and_have_variance_1(mu):
    source, target = sides()
    k, klk, khk = kernel_terms(source, target)
    embedded = transfer_components(source, target, 4, mu).source(np.concatenate((source, target)))
    np.testing.assert_allclose(covariance(embedded), np.eye(4), atol=1e-8)
    w = np.linalg.solve(k, embedded)
    within = klk + mu * np.eye(len(k))
    value = np.diag(w.T @ khk @ w) / np.diag(w.T @ within @ w)
    np.testing.assert_allclose(khk @ w, within @ w * value, atol=1e-5 * np.abs(khk @ w).max())
    greatest = np.sort(np.linalg.eigvals(np.linalg.solve(within, khk)).real)[::-1]
    np.testing.assert_allclose(value, greatest[:4], rtol=1e-6)


def test_transfer_components_bring_the_means_together():
    source, target = sides()
    apart = [np.inf]
    for mu in (1e3, 1.0, 1e-3):
        maps = transfer_components(source, target, 3, mu)
        apart.append(np.linalg.norm(maps.source(source).mean(0) - maps.target(target).mean(0)))
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] < 0.1 * apart[1]


# --- optimal transport -----------------------------------------------------------------------------------------------


def test_transport_sends_windows_to_the_means_of_the_plan_s():
    from ot import sinkhorn

    source, target = sides()
    label = np.arange(len(source)) % 2
    cost = ((source[:, None] - target[None]) ** 2).sum(-1)
    plan = sinkhorn([], [], cost / np.median(cost), 0.1, method="sinkhorn_log", numItermax=10_000, stopThr=1e-12)
    expected = plan @ target / plan.sum(1, keepdims=True)
    maps = transport(source, label, target, 0.1, 0.0)
    np.testing.assert_allclose(maps.source(source), expected, atol=1e-4)
    assert maps.target(target) is target
    # windows that the plan does not know follow those that it does
    near = source + 1e-6
    np.testing.assert_allclose(maps.source(near), expected, atol=1e-3)


def test_transport_looks_at_labels_with_a_class_penalty_alone():
    source, target = sides()
    label = np.arange(len(source)) % 2
    without, swapped = (transport(source, y, target, 0.1, 0.0).source(source) for y in (label, label[::-1]))
    np.testing.assert_array_equal(without, swapped)
    halves = (np.arange(len(source)) < 30).astype(np.int64)
    penalised, other = (transport(source, y, target, 0.2, 0.01).source(source) for y in (label, halves))
    assert np.abs(penalised - other).max() > 1e-3


def test_transport_with_much_entropy_sends_all_to_the_target_s_mean():
    source, target = sides()
    moved = transport(source, np.zeros(60, dtype=np.int64), target, 100.0, 0.0).source(source)
    assert np.abs(moved - target.mean(0)).max() < 0.05 * np.abs(target - target.mean(0)).max()


def test_transport_that_does_not_converge_says_so():
    source, target = sides(10, 8)
    with pytest.raises(TrainingError, match=r"Optimal transport must converge.* Hint: raise alignment.epsilon"):
        transport(source, np.zeros(10, dtype=np.int64), target, 1e-4, 0.0)


# --- re-centring -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [False, True])
def test_recentred_subjects_have_the_mean_of_the_part_and_with_scale_its_spread(scale):
    rng = np.random.default_rng(0)
    subject = np.repeat([7, 2, 9], [10, 20, 5])
    x = rng.normal(size=(35, 4)) * (1 + subject[:, None]) + subject[:, None]
    part = Moments.of(x)
    moved = recentred(x, subject, by_subject(x, subject), part, scale)
    for one in (7, 2, 9):
        own = x[subject == one]
        np.testing.assert_allclose(moved[subject == one].mean(0), x.mean(0), atol=1e-12)
        spread = x.std(0) if scale else own.std(0)
        np.testing.assert_allclose(moved[subject == one].std(0), spread, atol=1e-12)


def test_a_feature_that_is_constant_in_a_subject_stays_finite():
    x = np.array([[1.0, 0.1], [1.0, 0.2], [3.0, 0.1], [5.0, 0.4]])
    subject = np.array([0, 0, 1, 1])
    moved = recentred(x, subject, by_subject(x, subject), Moments.of(x), scale=True)
    assert np.isfinite(moved).all()
    np.testing.assert_allclose(moved[:2, 0], 2.5)


# --- real EEG --------------------------------------------------------------------------------------------------------


def on_eegmat(align):
    """Balanced accuracies (%) of logistic regression where all windows of a tested subject align it."""
    table = read_table("shipped:eegmat").select(CorpusSelection(table="shipped:eegmat", subjects="18-35"))
    x, subject = table.features.astype(np.float64).reshape(len(table), -1), table.subject.astype(np.int64)
    found = []
    for fold in make_folds(LosoProtocol(subjects_per_fold=3), table, table):
        mean, sd = x[fold.finetune].mean(0), x[fold.finetune].std(0)
        parts = [((x[rows] - mean) / sd, subject[rows]) for rows in (fold.finetune, fold.test)]
        train, test = align(*parts)
        right = LogisticRegression(max_iter=1000).fit(train, table.label[fold.finetune]).predict(test)
        for one in fold.subjects:
            own = subject[fold.test] == one
            found.append(100 * balanced_accuracy_score(table.label[fold.test][own], right[own]))
    return np.mean(found)


def recentring(scale):
    def align(train, test):
        part = Moments.of(train[0])
        return [recentred(*each, by_subject(*each), part, scale) for each in (train, test)]

    return align


def coral_to(target_mean):
    def align(train, test):
        return coral(train[0], test[0], 0.1, target_mean).source(train[0]), test[0]

    return align


@pytest.mark.parametrize(
    ("align", "expected"),
    [
        (lambda train, test: (train[0], test[0]), 70.1),
        (recentring(scale=False), 80.9),
        (recentring(scale=True), 80.2),
        (coral_to(target_mean=True), 72.6),
        (coral_to(target_mean=False), 68.0),
    ],
    ids=["none", "recentre", "recentre, scale", "coral", "coral, mean: source"],
)
def test_figures_on_eegmat_are_those_of_the_page(align, expected):
    assert on_eegmat(align) == pytest.approx(expected, abs=0.1)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("windows", [1, 127, 128, 129, 300])
def test_a_window_is_mapped_alike_in_any_company(windows):
    source, target = sides(300, 200, 40)
    for maps in (
        coral(source, target, 0.1, to_target_mean=True),
        subspace(source, target, 7),
        transfer_components(source, target, 7, 1.0),
    ):
        whole = mapped(maps.source, source)
        np.testing.assert_array_equal(mapped(maps.source, source[:windows]), whole[:windows])
        assert mapped(maps.source, source[:0]).shape == (0, whole.shape[1])


def experiment(method, protocol="uda_inductive", **changes):
    spec = ExperimentSpec.model_validate({"method": method, "protocol": {"kind": protocol}})
    return resolve_variant(spec, changes)


@pytest.mark.parametrize("method", ALIGNABLE)
def test_without_alignment_keys_are_those_of_before_there_was_any(method):
    spec = experiment(method)
    rules = method_of(spec).rules
    assert "alignment" not in what_matters(spec, rules.finetune)
    assert "alignment" not in what_matters(spec, rules.probe)
    facts = (TRANSFER, SOURCE.manifest, TARGET.manifest, CHANNELS, 0)
    assert cell_key(spec, *facts) == cell_key(experiment(method, **{"alignment.rho": 0.5}), *facts)
    keys = {cell_key(experiment(method, **{"alignment.kind": kind}), *facts) for kind in ("none", *KINDS)}
    assert len(keys) == 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", ["honest", "loso", "zero_shot", "released"])
def test_protocol_that_grants_no_unlabelled_window_is_refused_when_the_study_is_read(protocol, kind):
    values = {
        "kind": "ablation",
        "name": "x",
        "base": {"method": "linear", "protocol": {"kind": protocol}},
        "variants": {"plain": {}, "aligned": {"alignment.kind": kind}},
        "transfers": [{"name": "t", "source": {"table": "a"}, "target": {"table": "b"}}],
        "statistics": {"reference": "plain"},
    }
    with pytest.raises(SpecError, match=f"'variants.aligned.*alignment.kind'.*{kind!r} .*; (set protocol|raise it)"):
        study_from_values(values)
    values["base"]["protocol"]["kind"] = "uda_inductive"
    study_from_values(values)


def test_honest_folds_of_several_subjects_can_be_recentred_and_of_one_cannot():
    several = experiment("linear", "honest", **{"alignment.kind": "recentre", "protocol.subjects_per_fold": 2})
    assert several.alignment.kind == "recentre"
    with pytest.raises(SpecError, match="needs folds of at least two subjects"):
        experiment("linear", "honest", **{"alignment.kind": "recentre"})


def test_pot_is_imported_where_windows_are_transported_and_skada_nowhere():
    package = Path(scmmlab.__file__).parent
    found = {
        (path.name, bool(indent))
        for path in package.rglob("*.py")
        for indent in re.findall(r"^( *)(?:from|import) (?:ot|skada)\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == {("transport.py", True)}
