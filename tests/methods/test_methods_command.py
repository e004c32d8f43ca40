"""`scmmlab methods`: a line for each method, and every setting of one."""

from __future__ import annotations

import json

import pytest

from scmmlab.config.base import Spec
from scmmlab.methods.registry import all_methods


def leaves(value: Spec, before: str = ""):
    for name in type(value).model_fields:
        inner = getattr(value, name)
        yield from leaves(inner, f"{before}{name}.") if isinstance(inner, Spec) else [(f"{before}{name}", inner)]


def test_each_method_has_a_line_with_what_a_study_needs_to_know(scmmlab):
    done = scmmlab("methods")
    assert done.status == 0
    lines = {line.split()[0]: line for line in done.out.splitlines()[2:]}
    for method in all_methods():
        assert method.title in lines[method.name]
        assert f"  {method.version}  " in lines[method.name]
    assert "pretrain, finetune  pretrain.epochs" in lines["scmm"]
    assert "finetune            none: judged once" in lines["linear"]
    places = {method["name"]: method["runs_on"] for method in json.loads(scmmlab("methods", "--json").out)["methods"]}
    assert places == {method.name: method.runs_on for method in all_methods()}


@pytest.mark.parametrize("method", all_methods(), ids=lambda method: method.name)
def test_every_setting_of_a_method_is_shown_with_its_default_and_description(scmmlab, method):
    told = json.loads(scmmlab("methods", method.name, "--json").out)["settings"]
    expected = dict(leaves(method.spec()))
    assert {path: setting["default"] for path, setting in told.items()} == expected
    assert all(setting["description"] and setting["takes"] for setting in told.values())
    shown = scmmlab("methods", method.name).out
    for path, value in expected.items():
        assert f"  {path} = {json.dumps(value)}    ({told[path]['takes']})\n" in shown
    own, shared = shown.split("Settings that all methods share:")
    assert "protocol.kind" in shared
    assert "protocol.kind" not in own


@pytest.mark.parametrize(
    ("path", "takes"),
    [
        ("protocol.kind", "honest | loso | zero_shot | uda_inductive | uda_transductive | released"),
        ("pretrain.batches", "a whole number | all | null"),
        ("masking.overwrite_originals", "true | false | null"),
        ("masking.ratio", "a number"),
        ("scaling", "min_max | standard | none"),
    ],
)
def test_it_says_what_a_setting_takes(scmmlab, path, takes):
    assert json.loads(scmmlab("methods", "scmm", "--json").out)["settings"][path]["takes"] == takes


def test_unknown_method_is_refused_with_the_one_that_was_meant(scmmlab):
    done = scmmlab("methods", "liner")
    assert done.status == 2
    names = ", ".join(repr(method.name) for method in all_methods())
    assert done.err == (
        f"scmmlab: Invalid value for 'NAME': it must be one of {names}, got 'liner'; did you mean 'linear'?.\n"
    )
