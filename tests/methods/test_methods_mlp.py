"""The multilayer perceptron: its layers, and what its settings refuse."""

from __future__ import annotations

import pytest
import torch
from alignment_contexts import ALIGNED
from method_conformance import MethodConformance
from torch import nn

from scmmlab.config import ExperimentSpec, resolve_variant
from scmmlab.errors import SpecError
from scmmlab.methods.contract import InputShape
from scmmlab.methods.mlp.trainer import MlpTrainer
from scmmlab.methods.pretraining_view import what_matters
from scmmlab.methods.registry import method_of


class TestNormalisedMlp(MethodConformance):
    method = "mlp"
    settings = {
        "hidden": 16,
        "layers": 2,
        "widths": "halving",
        "norm": "batch",
        "finetune": {"epochs": 3, "batch_size": 16},
    }
    contexts = ALIGNED
    failing = {"finetune.optimizer.weight_decay": 1e39}
    by_heart = {"finetune.epochs": 60, "finetune.optimizer.learning_rate": 0.02, "dropout": 0.0}


def spec_of(**settings):
    return ExperimentSpec.model_validate({"method": "mlp", **settings})


def layers_of(**settings):
    return list(MlpTrainer().module(spec_of(**settings), InputShape(62, 5, 3)))


@pytest.mark.parametrize(
    ("settings", "widths"),
    [
        ({}, [310, 128, 128, 3]),
        ({"hidden": 256, "layers": 3, "widths": "halving"}, [310, 256, 128, 64, 3]),
        ({"hidden": 9, "layers": 4, "widths": "halving"}, [310, 9, 4, 2, 1, 3]),
        ({"hidden": 7, "layers": 1, "widths": "halving"}, [310, 7, 3]),
    ],
)
def test_hidden_layers_are_equal_or_halve(settings, widths):
    linear = [layer for layer in layers_of(**settings) if isinstance(layer, nn.Linear)]
    assert [linear[0].in_features, *(layer.out_features for layer in linear)] == widths


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm)])
def test_a_norm_stands_between_a_hidden_layer_and_its_rectifier(norm, kind):
    layers = layers_of(norm=norm, layers=2)
    expected = [nn.Flatten, *[nn.Linear, kind, nn.LeakyReLU, nn.Dropout] * 2, nn.Linear]
    assert [type(layer) for layer in layers] == expected
    x = torch.randn(50, 310, generator=torch.Generator().manual_seed(0))
    normalised = layers[2](layers[1](x)).detach()
    assert normalised.mean(0 if norm == "batch" else 1).abs().max() < 1e-5


def test_halving_that_leaves_a_layer_empty_is_refused():
    with pytest.raises(SpecError, match=r"'hidden'.*at least 32 with 6 layers that halve, got 16"):
        resolve_variant(spec_of(hidden=16, layers=6), {"widths": "halving"})
    assert spec_of(hidden=32, layers=6, widths="halving").contradictions() == []


def test_settings_that_it_has_gained_leave_its_keys_as_they_were():
    spec = spec_of()
    for rules in (method_of(spec).rules.finetune, method_of(spec).rules.probe):
        named = {"method", "hidden", "layers", "dropout", "finetune", "scaling", "protocol"}
        assert what_matters(spec, rules).keys() == named
