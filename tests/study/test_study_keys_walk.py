"""Every field of every spec is in a key, or in a rule that takes it out; and so is a field that nobody thought of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from another_value import another
from pydantic.fields import FieldInfo
from study_fakes import CHANNELS, manifest, transfer

from scmmlab.config import (
    CorpusSelection,
    HonestProtocol,
    LosoProtocol,
    ReleasedProtocol,
    TransferSpec,
    UdaInductiveProtocol,
    UdaTransductiveProtocol,
    ZeroShotProtocol,
    resolve_variant,
)
from scmmlab.config.base import Spec
from scmmlab.methods.contract import InputShape
from scmmlab.methods.pretraining_view import SHARED_RULES, pretraining_view, seen_by_pretraining
from scmmlab.methods.registry import trainer
from scmmlab.methods.scmm.key_rules import PER_REPLICA, RULES
from scmmlab.methods.scmm.spec import ContrastSpec, MaskingSpec, NetworkSpec, ScmmSpec
from scmmlab.study.keys import FINETUNING_RULES, PROBE_RULES, cell_key, pretrain_key, sweep_key

PROTOCOLS = {
    "honest": HonestProtocol,
    "loso": LosoProtocol,
    "zero_shot": ZeroShotProtocol,
    "uda_inductive": UdaInductiveProtocol,
    "uda_transductive": UdaTransductiveProtocol,
    "released": ReleasedProtocol,
}
CONTEXTS: list[dict[str, Any]] = [
    {},
    {"loss.weighting": "fixed"},
    {"protocol.kind": "loso"},
    {"protocol.kind": "zero_shot"},
    {"protocol.kind": "uda_inductive"},
    {"protocol.kind": "uda_transductive"},
    {"protocol.kind": "released"},
    {"protocol.kind": "released", "finetune.constant_learning_rate": False},
    {"masking.overwrite_originals": True, "finetune.reload_best_training": True, "finetune.zero_grad": False},
]
"""Experiments in which all that may matter does matter, but for these:"""
COMPANIONS: dict[str, dict[str, Any]] = {
    "augmentation.mixup": {"contrast.weights": "hard"},
    "contrast.half_life": {"contrast.positives": "trial_time"},
    "reconstruction.on": {"reconstruction.target": "original"},
}
"""Setting → what it needs to be allowed, or to matter."""
OTHERS = {"contrast.positives": "trial_time"}
"""Setting → a value that no other setting can say."""


def pairs_of(dotted: str, field: FieldInfo, context: dict[str, Any]) -> tuple[ScmmSpec, ScmmSpec]:
    """An experiment, and the same with another value of a setting."""
    before = resolve_variant(ScmmSpec(), {**context, **COMPANIONS.get(dotted, {})})
    return before, resolve_variant(before, {dotted: OTHERS.get(dotted) or another(field, value_at(before, dotted))})


def leaves(spec: type[Spec], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in spec.model_fields.items():
        if name == "protocol":
            for kind, protocol in PROTOCOLS.items():
                yield from leaves(protocol, (f"protocol:{kind}",))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Spec):
            yield from leaves(field.annotation, (*before, name))
        elif name not in ("kind", "method"):  # another kind is another protocol, with fields of its own; so a method
            yield (*before, name), field


FIELDS = dict(leaves(ScmmSpec))


def keys_of(experiment: ScmmSpec, of: TransferSpec | None = None) -> tuple[str | None, str, str]:
    facts = (of or transfer(), manifest("one"))
    return (
        pretrain_key(experiment, *facts, CHANNELS, 0),
        cell_key(experiment, *facts, manifest("two"), CHANNELS, 0),
        sweep_key(experiment, *facts, manifest("two"), CHANNELS, 0, 5),
    )


def value_at(experiment: ScmmSpec, path: str) -> Any:
    value: Any = experiment
    for name in path.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_every_field_of_an_experiment_is_in_the_keys_of_what_it_can_change(path):
    first, *_ = path
    kind = first.partition(":")[2]
    dotted = ".".join(["protocol", *path[1:]] if kind else path)
    contexts = [each for each in CONTEXTS if not kind or each.get("protocol.kind", "honest") == kind]
    changed = []
    for context in contexts:
        before, after = pairs_of(dotted, FIELDS[path], context)
        changed.append([one != other for one, other in zip(keys_of(before), keys_of(after), strict=True)])
    # in the cell's key always; a cell that starts from another encoder is another cell
    assert any(cell for _, cell, _ in changed), f"no rule may take {dotted} out of all keys"
    assert all(cell for pretrain, cell, _ in changed if pretrain)
    rules = SHARED_RULES + RULES.pretrain
    always = [rule for rule in rules if (dotted == rule.path or dotted.startswith(f"{rule.path}."))]
    assert any(pretrain for pretrain, _, _ in changed) or always, f"{dotted} is out of the encoder's key without a rule"


@pytest.mark.parametrize(
    "rules",
    [SHARED_RULES + RULES.pretrain, FINETUNING_RULES + RULES.finetune, PROBE_RULES + RULES.probe, PER_REPLICA],
    ids=["pre-training", "fine-tuning", "probe", "pack"],
)
def test_every_rule_names_a_field_and_gives_a_reason(rules):
    every = {".".join(["protocol", *path[1:]] if ":" in path[0] else path) for path in FIELDS} | {"protocol.kind"}
    for rule in rules:
        assert any(name == rule.path or name.startswith(f"{rule.path}.") for name in every), rule.path
        assert len(rule.why) > 10


def pack_signature(experiment: ScmmSpec) -> Any:
    return trainer("scmm").pack_signature(experiment, "pretrain", InputShape(3, 5))


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_pretraining_is_handed_exactly_what_is_in_its_key(path):
    """And so are its data, its record and its packs, which are made of what it is handed."""
    kind = path[0].partition(":")[2]
    dotted = ".".join(["protocol", *path[1:]] if kind else path)
    for context in CONTEXTS:
        if dotted == "pretrain.enabled" or (kind and context.get("protocol.kind", "honest") != kind):
            continue
        before, after = pairs_of(dotted, FIELDS[path], context)
        in_key = keys_of(before)[0] != keys_of(after)[0]
        assert (pretraining_view(before) != pretraining_view(after)) == in_key, context
        assert (seen_by_pretraining(before) != seen_by_pretraining(after)) == in_key
        per_replica = any(dotted == rule.path for rule in PER_REPLICA)
        assert (pack_signature(before) != pack_signature(after)) == (in_key and not per_replica)


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_what_pretraining_is_handed_gives_the_same_key_and_the_same_view(context):
    experiment = resolve_variant(ScmmSpec(), context)
    view = pretraining_view(experiment)
    assert keys_of(view)[0] == keys_of(experiment)[0]
    assert pretraining_view(view) == view


class WiderMasking(MaskingSpec):
    shape: str = "square"


class WiderContrast(ContrastSpec):
    margin: float = 0.0


class WiderNetwork(NetworkSpec):
    depth: int = 3


class WiderProtocol(HonestProtocol):
    purge_trials: int = 0


class WiderExperiment(ScmmSpec):
    distillation: str = "none"


class WithWiderMasking(ScmmSpec):
    masking: WiderMasking = WiderMasking()


class WiderSelection(CorpusSelection):
    tasks: tuple[str, ...] = ()


class WiderTransfer(TransferSpec):
    alignment: str = "none"


def experiments(name: str) -> Iterator[ScmmSpec]:
    """The same experiment with a new field, of two values."""
    spec = ScmmSpec()
    new: dict[str, tuple[Any, Any]] = {
        "masking": (WiderMasking(), WiderMasking(shape="round")),
        "contrast": (WiderContrast(), WiderContrast(margin=0.5)),
        "network": (WiderNetwork(), WiderNetwork(depth=4)),
        "protocol": (WiderProtocol(), WiderProtocol(purge_trials=1)),
    }
    if name in new:
        return (spec.model_copy(update={name: value}) for value in new[name])
    return iter((WiderExperiment(), WiderExperiment(distillation="noise")))


@pytest.mark.parametrize("name", ["masking", "contrast", "network", "protocol", "experiment"])
def test_a_field_that_nobody_thought_of_is_in_the_keys(name):
    one, other = (keys_of(experiment) for experiment in experiments(name))
    assert not set(one) & set(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (WiderExperiment(), WiderExperiment(distillation="noise")),
        (WithWiderMasking(), WithWiderMasking(masking=WiderMasking(shape="round"))),
    ],
    ids=["experiment", "masking"],
)
def test_a_field_that_nobody_thought_of_is_in_what_pretraining_is_handed_and_in_its_pack_signature(one, other):
    assert keys_of(one)[0] != keys_of(other)[0]
    assert pretraining_view(one) != pretraining_view(other)
    assert pretraining_view(other) == other
    assert pack_signature(one) != pack_signature(other)


def test_a_new_setting_of_a_protocol_has_to_say_that_pretraining_does_not_see_it():
    with pytest.raises(AssertionError, match="purge_trials"):
        pretraining_view(ScmmSpec().model_copy(update={"protocol": WiderProtocol()}))


@pytest.mark.parametrize("side", ["source", "target", "transfer"])
def test_a_field_that_nobody_thought_of_in_a_transfer_is_in_the_keys(side):
    plain = transfer()
    values = plain.model_dump(exclude={"source", "target"}) | {"source": plain.source, "target": plain.target}
    if side == "transfer":
        pairs = [WiderTransfer(**values), WiderTransfer(**{**values, "alignment": "euclidean"})]
    else:
        chosen = getattr(plain, side).model_dump()
        pairs = [
            plain.model_copy(update={side: WiderSelection(**{**chosen, "tasks": tasks})}) for tasks in ((), ("rest",))
        ]
    one, other = (keys_of(ScmmSpec(), each) for each in pairs)
    assert one[1] != other[1]
    assert one[2] != other[2]
    assert (one[0] != other[0]) == (side != "target")
