"""Which tables may take part in one transfer."""

import pytest
from table_strategies import manifest

from scmmlab.errors import CorpusError
from scmmlab.tables import check_mixable, common_channels, mixed_features

HERE = {"origin": "computed", "log_base": "e", "form": "0.5*ln(2*pi*e*variance)"}


def test_common_channels_are_in_the_order_and_spelling_of_the_source():
    source, target = manifest(channels=("FP1", "FZ", "CZ", "OZ")), manifest(channels=("Cz", "Oz", "Fp1", "T7"))
    assert common_channels(source, target) == ("FP1", "CZ", "OZ")
    assert common_channels(target, source) == ("Cz", "Oz", "Fp1")


def test_tables_without_a_channel_in_common_are_refused():
    with pytest.raises(CorpusError, match="no channel in common"):
        common_channels(manifest(channels=("A",)), manifest(channels=("B",)))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"feature": "power"}, "feature"),
        ({"unit": "bit"}, "unit"),
        ({"bands": {"theta": (4.0, 8.0), "alpha": (8.0, 13.0)}}, "bands"),
        ({"bands": {"alpha": (8.0, 14.0), "theta": (4.0, 8.0)}}, "bands"),
        ({"provenance": {**HERE, "log_base": "2"}}, "log base"),
        ({"provenance": {**HERE, "form": "log2(100*energy)"}}, "form"),
        ({"provenance": {**HERE, "origin": "shipped"}}, "origin"),
    ],
)
def test_features_that_were_made_otherwise_are_refused(change, what):
    with pytest.raises(CorpusError, match=f"cannot be mixed: expected the same {what}, found"):
        check_mixable(manifest(), manifest(**change))


@pytest.mark.parametrize(
    "change",
    [{"window_s": 4.0}, {"corpus": "b", "classes": ("x",)}, {"provenance": {**HERE, "origin": "synthetic"}}],
)
def test_windows_classes_and_synthetic_corpora_may_differ(change):
    check_mixable(manifest(), manifest(**change))


def test_two_corpora_with_shipped_features_may_be_mixed():
    shipped = {**HERE, "origin": "shipped"}
    check_mixable(manifest(provenance=shipped), manifest(provenance=shipped))


def test_a_study_may_mix_what_was_made_otherwise_but_not_other_bands_or_features():
    shipped = manifest(corpus="b", provenance={**HERE, "origin": "shipped", "log_base": "2"}, unit="bit")
    check_mixable(manifest(), shipped, mixed=True)
    assert mixed_features(manifest(), shipped).endswith("they differ in unit, log base, origin.")
    assert mixed_features(manifest(), manifest(window_s=4.0)) == ""
    for change in ({"feature": "power"}, {"bands": {"theta": (4.0, 8.0), "alpha": (8.0, 13.0)}}):
        with pytest.raises(CorpusError, match="cannot be mixed"):
            check_mixable(manifest(), manifest(**change), mixed=True)


def test_a_mix_that_no_study_asked_for_names_the_way_to_ask_for_it():
    with pytest.raises(CorpusError) as caught:
        check_mixable(manifest(), manifest(provenance={**HERE, "origin": "shipped"}))
    assert "mixed_features: true" in str(caught.value.hint)
