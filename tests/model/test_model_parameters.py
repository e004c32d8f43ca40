"""Parameters: names, layouts, flat buffers, initial numbers."""

from __future__ import annotations

import math

import pytest
import torch
from model_packs import SHAPE, experiment, pack

from scmmlab.errors import TrainingError
from scmmlab.methods.scmm.parameters import initial_classifier, initial_pretraining
from scmmlab.methods.scmm.shape import Shape

RELEASED = {
    "encoder.0.weight": (32, 62, 8),
    "encoder.5.running_var": (64,),
    "encoder.9.num_batches_tracked": (),
    "projector.0.weight": (256, 384),
    "projector.3.bias": (128,),
    "decoder.weight": (310, 384),
    "awl.params": (2,),
}


def test_names_and_shapes_are_the_released_ones() -> None:
    state = initial_pretraining(Shape(channels=62), torch.tensor([0]), "cpu", torch.float32).replica_state(0)
    assert {name: tuple(state[name].shape) for name in RELEASED} == RELEASED


def test_named_views_share_memory_with_the_flat_buffer() -> None:
    parameters, _, _ = pack([experiment()] * 2)
    parameters.values.zero_()
    assert all(bool((leaf == 0).all()) for leaf in (parameters[name] for name in parameters.names))
    with torch.no_grad():
        parameters["encoder.4.weight"][1, 3, 1, 4] = 7
    assert int((parameters.values[1] == 7).sum()) == 1
    assert float(parameters.named(parameters.values)["encoder.4.weight"][1, 3, 1, 4]) == 7


def test_a_replica_moves_between_packs() -> None:
    one, _, _ = pack([experiment()] * 2, [1, 2])
    two, _, _ = pack([experiment()] * 3, [3, 4, 5])
    one.running_mean["encoder.5"][1] = 3
    one.batches_tracked["projector.1"][1] = 9
    state = one.replica_state(1)
    two.load_replica(2, state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in two.replica_state(2).items())
    other, _, _ = pack([experiment()], [4])
    assert all(torch.equal(tensor, other.replica_state(0)[name]) for name, tensor in two.replica_state(1).items())


def test_loading_says_what_is_missing_or_misshapen() -> None:
    parameters, _, _ = pack([experiment()])
    state = parameters.replica_state(0)
    with pytest.raises(TrainingError, match=r"must hold 'decoder\.bias'"):
        parameters.load_replica(0, {name: t for name, t in state.items() if name != "decoder.bias"})
    with pytest.raises(TrainingError, match=r"'decoder\.bias'.*shape \(30,\), found \(31,\)"):
        parameters.load_replica(0, {**state, "decoder.bias": torch.zeros(31)})


def test_a_part_is_a_copy() -> None:
    parameters, _, _ = pack([experiment()])
    encoder = parameters.part("encoder.")
    assert all(name.startswith("encoder.") for name in encoder.replica_state(0))
    encoder.values.zero_()
    assert bool((parameters["encoder.0.weight"] != 0).any())


def test_initial_numbers_depend_on_the_seed_alone() -> None:
    together = initial_pretraining(SHAPE, torch.tensor([5, 6, 7]), "cpu", torch.float64)
    alone = initial_pretraining(SHAPE, torch.tensor([6]), "cpu", torch.float64)
    assert torch.equal(together.values[1], alone.values[0])
    assert not torch.equal(together.values[0], together.values[1])


def test_initial_weights_are_uniform_within_one_over_root_of_inputs() -> None:
    parameters = initial_pretraining(Shape(channels=62), torch.tensor([0]), "cpu", torch.float64)
    classifier = initial_classifier(Shape(channels=62), torch.tensor([0]), "cpu", torch.float64)
    for part, name, inputs in (
        (parameters, "encoder.0.weight", 62 * 8),
        (parameters, "projector.0.weight", 384),
        (parameters, "decoder.bias", 384),
        (classifier, "fc.weight", 384),
    ):
        values, bound = part[name].detach(), 1 / math.sqrt(inputs)
        assert values.abs().max() <= bound
        assert abs(values.std() / bound - 1 / math.sqrt(3)) < 0.05
    assert bool((parameters["encoder.1.weight"] == 1).all() and (parameters["encoder.1.bias"] == 0).all())
    assert parameters["awl.params"].tolist() == [[1, 1]]


def test_gradients_lie_as_the_parameters_do() -> None:
    parameters, _, _ = pack([experiment()] * 2)
    parameters.gradient.copy_(parameters.values)
    for name, gradient in parameters.gradients.items():
        assert torch.equal(gradient, parameters[name])
    parameters.parts(1)[1].zero_gradients("projector.")
    assert bool((parameters.gradients["projector.3.weight"][1] == 0).all())
    assert torch.equal(parameters.gradients["projector.3.weight"][0], parameters["projector.3.weight"][0])
    assert torch.equal(parameters.gradients["decoder.weight"], parameters["decoder.weight"])


def test_parts_share_the_buffers() -> None:
    parameters, _, _ = pack([experiment()] * 3)
    parts = parameters.parts(2)
    assert [part.replicas for part in parts] == [2, 1]
    assert parameters.parts(3) == [parameters]
    parts[1].running_mean["encoder.1"] += 1
    parts[0].batches_tracked["encoder.5"] += 2
    parts[1].values.zero_()
    assert parameters.running_mean["encoder.1"].mean(1).tolist() == [0, 0, 1]
    assert parameters.batches_tracked["encoder.5"].tolist() == [2, 2, 0]
    assert bool((parameters["decoder.weight"][2] == 0).all())
    assert bool((parameters["decoder.weight"][1] != 0).any())
