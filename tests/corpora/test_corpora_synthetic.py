"""Synthetic corpora have what real ones have, and the same seed gives the same corpus."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scmmlab.corpora import SyntheticSpec
from scmmlab.errors import CorpusError
from scmmlab.tables import check_mixable, common_channels, read_manifest, synthetic_table, write_synthetic_table


@pytest.fixture(scope="module")
def table():
    return synthetic_table(SyntheticSpec(subjects=8, trials=9, windows=40))


def score(train, test):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    model.fit(train.features.reshape(len(train), -1), train.label)
    return model.score(test.features.reshape(len(test), -1), test.label)


def part(table, rows):
    return type(table)(**{**vars(table), **{n: getattr(table, n)[rows] for n in ("subject", "label", "features")}})


def test_the_same_seed_gives_the_same_corpus(table):
    again = synthetic_table(SyntheticSpec(subjects=8, trials=9, windows=40))
    assert again.manifest == table.manifest
    assert again.features.tobytes() == table.features.tobytes()


def test_another_seed_gives_another_corpus(table):
    other = synthetic_table(SyntheticSpec(subjects=8, trials=9, windows=40, seed=1))
    assert other.manifest.fingerprint != table.manifest.fingerprint


def test_a_corpus_with_more_subjects_begins_with_the_same_ones(table):
    more = synthetic_table(SyntheticSpec(subjects=9, trials=9, windows=40))
    np.testing.assert_array_equal(more.features[: len(table)], table.features)


def test_classes_can_be_learned_across_subjects_but_not_trivially(table):
    first = table.subject <= 5
    assert 0.45 < score(part(table, first), part(table, ~first)) < 0.95


def test_without_strength_there_is_nothing_to_learn():
    table = synthetic_table(SyntheticSpec(subjects=8, trials=9, windows=40, strength=0))
    first = table.subject <= 5
    assert score(part(table, first), part(table, ~first)) < 0.45


def test_corpora_of_other_seeds_and_channels_share_what_is_to_be_learned():
    source = synthetic_table(SyntheticSpec(name="a", subjects=8, strength=1, corpus_shift=0, seed=1))
    channels = (*source.manifest.channels[10:], "FC1", "FC2")
    target = synthetic_table(SyntheticSpec(name="b", subjects=4, strength=1, corpus_shift=0, seed=2, channels=channels))
    common = common_channels(source.manifest, target.manifest)
    assert common == source.manifest.channels[10:]
    assert score(source.with_channels(common), target.with_channels(common)) > 0.6


def test_a_state_drifts_slowly_within_a_trial(table):
    """Neighbouring windows of a trial are more alike than distant ones."""
    centred = table.features.reshape(8, 9, 40, -1)
    centred = centred - centred.mean(axis=2, keepdims=True)

    def likeness(lag):
        return (centred[:, :, lag:] * centred[:, :, : 40 - lag]).mean()

    assert likeness(1) > 1.3 * likeness(5) > 0
    assert likeness(5) > likeness(15)


def test_channels_correlate(table):
    residual = table.features.reshape(8 * 9, 40, 19, 5)
    residual = (residual - residual.mean(axis=1, keepdims=True))[..., 2].reshape(-1, 19)
    correlation = np.corrcoef(residual.T)[np.triu_indices(19, 1)]
    assert correlation.mean() > 0.15


def test_subjects_and_corpora_are_shifted(table):
    means = table.features.reshape(8, -1, 95).mean(axis=1)
    assert means.std(axis=0).mean() > 0.3
    other = synthetic_table(SyntheticSpec(name="other", subjects=8, trials=9, windows=40, subject_shift=0))
    here = synthetic_table(SyntheticSpec(subjects=8, trials=9, windows=40, subject_shift=0))
    assert np.abs(other.features.mean(axis=0) - here.features.mean(axis=0)).mean() > 0.3


def test_the_first_and_the_last_trials_have_every_class(table):
    for subject in range(1, 9):
        labels = [int(table.label[(table.subject == subject) & (table.trial == trial)][0]) for trial in range(1, 10)]
        assert all(set(labels[start : start + 3]) == {0, 1, 2} for start in (0, 3, 6))


def test_it_may_be_mixed_with_features_computed_here(table):
    check_mixable(table.manifest, read_manifest("shipped:eegmat"))


def test_a_fake_that_is_there_stays_and_another_is_not_overwritten(tmp_path):
    spec = SyntheticSpec(subjects=1, trials=3, windows=2)
    assert write_synthetic_table(spec, tmp_path / "fake").status == "built"
    assert write_synthetic_table(spec, tmp_path / "fake").status == "up to date"
    other = SyntheticSpec(subjects=2, trials=3, windows=2)
    with pytest.raises(CorpusError, match="already holds a feature table"):
        write_synthetic_table(other, tmp_path / "fake")
    assert write_synthetic_table(other, tmp_path / "fake", force=True).status == "rebuilt"
    assert read_manifest(tmp_path / "fake").windows == 12
