"""Search spaces in which a path is searched only where others have certain values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmmlab.config import Choices, is_among, is_searched, load_study, never_searched, sampling_order
from scmmlab.errors import SpecError

SWEEP = """
kind: sweep
name: search
base: {protocol: {kind: loso}}
space:
  masking.threshold: {low: 0.1, high: 0.9, when: {masking.mode: [parallel, hybrid]}}
  masking.mode: {choices: [none, random, parallel, hybrid]}
  masking.views: {low: 1, high: 4, type: int}
  masking.ratio: {low: 0.1, high: 0.9, when: {masking.mode: [random, parallel, hybrid], masking.views: 1}}
  aggregator.top_k: {choices: [4, null], when: {aggregator.enabled: true}}
transfers:
  - name: halves
    source: {table: "shipped:eegmat", subjects: 0-17}
    target: {table: "shipped:eegmat", subjects: 18-35}
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "sweep.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_path_comes_after_those_that_its_conditions_name(write):
    study = load_study(write(SWEEP)).study
    assert sampling_order(study.space) == [
        "masking.mode",
        "masking.threshold",
        "masking.views",
        "masking.ratio",
        "aggregator.top_k",
    ]


def test_a_space_without_conditions_keeps_its_order():
    space = {name: Choices(choices=(1, 2)) for name in ("c", "a", "b")}
    assert sampling_order(space) == ["c", "a", "b"]


def test_all_conditions_must_hold(write):
    study = load_study(write(SWEEP)).study

    def searched(path, **params):
        return is_searched(path, {f"masking.{name}": value for name, value in params.items()}, study.space, study.base)

    assert searched("masking.ratio", mode="random", views=1)
    assert not searched("masking.ratio", mode="random", views=2)
    assert not searched("masking.ratio", mode="none", views=1)
    assert searched("masking.threshold", mode="hybrid")
    assert not searched("masking.threshold", mode="random")
    # a condition on what is not searched itself does not hold
    assert not searched("masking.threshold")


def test_a_condition_may_be_on_the_base(write):
    study = load_study(write(SWEEP)).study
    assert never_searched(study.space, study.base) == []
    assert is_searched("aggregator.top_k", {}, study.space, study.base)
    study = load_study(write(SWEEP), ["base.aggregator.enabled=false"]).study
    assert never_searched(study.space, study.base) == ["aggregator.top_k"]
    assert not is_searched("aggregator.top_k", {}, study.space, study.base)


def test_true_is_not_one():
    assert not is_among(True, (1, 0))
    assert not is_among(1, (True, False))
    assert is_among(1, (1.0,))
    assert is_among(None, (None,))


@given(st.data())
def test_any_space_without_a_cycle_is_ordered(data):
    names = data.draw(st.permutations("abcdef"))
    space = {}
    for index, name in enumerate(names):
        above = data.draw(st.sets(st.sampled_from(names[:index]))) if index else ()
        space[name] = Choices(choices=(1, 2), when=dict.fromkeys(above, 1))
    written = {name: space[name] for name in data.draw(st.permutations(names))}
    order = sampling_order(written)
    assert sorted(order) == sorted(names)
    for name in names:
        assert all(order.index(above) < order.index(name) for above in space[name].when)


def test_a_domain_is_tried_where_it_is_searched(write):
    # `finetune_trials` is no setting of the base's protocol
    text = SWEEP.replace(
        "  masking.views: ",
        "  protocol.kind: {choices: [loso, honest]}\n"
        "  protocol.finetune_trials: {low: 2, high: 4, type: int, when: {protocol.kind: honest}}\n"
        "  masking.views: ",
    )
    assert "protocol.finetune_trials" in load_study(write(text)).study.space
    with pytest.raises(SpecError, match=r"Unknown key 'space\.protocol\.finetune_trials'"):
        load_study(write(text.replace("{protocol.kind: honest}", "{protocol.kind: [honest, loso]}")))


def test_set_reaches_a_condition(write):
    study = load_study(write(SWEEP), ["space.masking.ratio.when.masking.mode=hybrid"]).study
    assert study.space["masking.ratio"].when == {"masking.mode": "hybrid", "masking.views": 1}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "when: {masking.mode: [parallel",
            "when: {masking.mod: [parallel",
            "Unknown key 'space.masking.threshold.when.masking.mod' in {}: neither the space nor the base has this "
            "path; did you mean 'masking.mode'?",
        ),
        (
            "aggregator.enabled: true",
            "aggregator.enable: true",
            "Unknown key 'space.aggregator.top_k.when.aggregator.enable' in {}: neither the space nor the base has "
            "this path; did you mean 'aggregator.enabled'?",
        ),
        (
            "aggregator.enabled: true",
            "aggregator.enabled: maybe",
            "Invalid value for 'space.aggregator.top_k.when.aggregator.enabled' in {}: it must be true or false",
        ),
        (
            "aggregator.enabled: true",
            "aggregator.enabled: 1",
            "it must be true, the value that it would be read as, got 1",
        ),
        (
            "aggregator.enabled: true",
            "aggregator: true",
            "Unknown key 'space.aggregator.top_k.when.aggregator' in {}: neither the space nor the base has this path",
        ),
        (
            "aggregator.enabled: true",
            "scaling.kind: none",
            "Unknown key 'space.aggregator.top_k.when.scaling.kind' in {}: neither the space nor the base has",
        ),
        ("{aggregator.enabled: true}", "enabled", "top_k.when' in {}: it must be a mapping of keys to values"),
        (
            "[parallel, hybrid]}}",
            "[parallel, hybird]}}",
            "'space.masking.threshold.when.masking.mode' in {}: it must be one of 'none', 'random', 'parallel', "
            "'hybrid', got 'hybird'; did you mean 'hybrid'?",
        ),
        ("masking.views: 1}", "masking.views: 5}", "when.masking.views' in {}: it must lie in [1, 4] as its space"),
        ("masking.views: 1}", "masking.views: []}", "when.masking.views' in {}: it must name at least one value"),
        ("masking.views: 1}", "masking.views: {a: 1}}", "'space.masking.ratio.when.masking.views' in {}: it must be"),
        (
            "{masking.mode: [parallel, hybrid]}",
            "{masking.ratio: 0.5}",
            "'space.masking.threshold.when.masking.ratio' in {}: a condition needs a path with choices or whole "
            "numbers",
        ),
        (
            "name: search",
            "name: search\npoints: [{masking.views: 1, masking.ratio: 0.5}]",
            "Invalid value for 'points.0.masking.ratio' in {}: it is searched only where 'masking.mode' is 'random' or "
            "'parallel' or 'hybrid', so a point that names it must name 'masking.mode' too",
        ),
        (
            "name: search",
            "name: search\npoints: [{masking.mode: random, masking.threshold: 0.5}]",
            "'points.0.masking.threshold' in {}: it is searched only where 'masking.mode' is 'parallel' or 'hybrid', "
            "and this point has 'random'",
        ),
        (
            "base: {protocol: {kind: loso}}",
            "base: {protocol: {kind: loso}, aggregator: {enabled: false}}\npoints: [{aggregator.top_k: 4}]",
            "'points.0.aggregator.top_k' in {}: it is searched only where 'aggregator.enabled' is true, and the base "
            "has false",
        ),
        (
            "name: search",
            "name: search\npoints: [{masking.mod: random}]",
            "Unknown key 'points.0.masking.mod' in {}: points may only name paths of the space",
        ),
        ("name: search", "name: search\npoints: [{masking.mod: random}]", "did you mean 'masking.mode'?"),
        ("name: search", "name: search\npoints: [{masking.views: 1.5}]", "it must be a whole number as its space says"),
        (
            "name: search",
            "name: search\nobjectives: [epochs]",
            "'objectives' in {}: it must be [probe] or [probe, epochs], got [epochs]",
        ),
        ("name: search", "name: search\nobjectives: [probe, time]", "'objectives.1' in {}: it must be one of 'probe'"),
        ("name: search", "name: search\nobjectives: [probe, epochs]", "'epochs' needs 'pretrain.epochs' in the space"),
    ],
)
def test_a_mistake_in_a_condition_or_a_point_is_named(write, before, after, expected):
    assert before in SWEEP
    path = write(SWEEP.replace(before, after, 1))
    with pytest.raises(SpecError) as caught:
        load_study(path)
    assert expected.format(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_conditions_that_lead_back_are_refused(write):
    text = SWEEP.replace(
        "{choices: [none, random, parallel, hybrid]}",
        "{choices: [none, random, parallel, hybrid], when: {masking.views: 1}}",
    ).replace("high: 4, type: int", "high: 4, type: int, when: {masking.mode: hybrid}")
    path = write(text)
    with pytest.raises(SpecError) as caught:
        load_study(path)
    assert f".when' in {path}: conditions must not form a cycle, got" in str(caught.value)
    for name in ("masking.mode → masking.views", "masking.views → masking.mode"):
        assert name in str(caught.value)


def test_a_space_of_which_nothing_is_searched_is_refused(write):
    text = SWEEP[: SWEEP.index("  masking.threshold")] + SWEEP[SWEEP.index("  aggregator.top_k") :]
    load_study(write(text))
    with pytest.raises(SpecError, match="nothing is left to search"):
        load_study(write(text), ["base.aggregator.enabled=false"])


def test_conditions_stand_in_the_plain_form_of_a_study():
    domain = Choices.model_validate({"choices": [4, None], "when": {"masking.mode": ["random", "hybrid"]}})
    assert Choices.model_validate(domain.model_dump(mode="json")) == domain
