"""Adam over flat buffers is PyTorch's Adam, replica by replica."""

from __future__ import annotations

import pytest
import torch

from scmmlab.config import OptimizerSpec
from scmmlab.replica.optimizer import Adam

SPECS = [
    OptimizerSpec(),
    OptimizerSpec(beta1=0.5, beta2=0.999, weight_decay=0.1),
    OptimizerSpec(beta1=0.0, weight_decay=0.0),
]
RATES = torch.tensor([5e-4, 1e-2, 1e-3], dtype=torch.float64)


def problem(steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3, 50, generator=generator, dtype=torch.float64)
    return values, torch.randn(steps, 3, 50, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("step", [Adam._step_rows, Adam._step_columns])
def test_it_is_pytorch_adam(step: object) -> None:
    values, found = problem(30)
    expected = [torch.nn.Parameter(row.clone()) for row in values]
    theirs = [
        torch.optim.Adam([p], float(rate), (s.beta1, s.beta2), 1e-8, s.weight_decay)
        for p, rate, s in zip(expected, RATES, SPECS, strict=True)
    ]
    ours = Adam(values, SPECS)
    for gradient in found:
        with torch.no_grad():
            step(ours, values, gradient, RATES, None)  # type: ignore[operator]
        for parameter, optimizer, own in zip(expected, theirs, gradient, strict=True):
            parameter.grad = own.clone()
            optimizer.step()
    torch.testing.assert_close(values, torch.stack(expected).detach(), rtol=1e-12, atol=1e-12)
    assert ours.t.tolist() == [30, 30, 30]


@pytest.mark.parametrize("step", [Adam._step_rows, Adam._step_columns])
def test_inactive_replicas_stay_as_they_are(step: object) -> None:
    values, found = problem(5)
    adam = Adam(values, SPECS)
    active = torch.tensor([True, False, True])
    for number, gradient in enumerate(found):
        before = values.clone(), adam.replica_state(1)
        gradient[1] = torch.nan
        with torch.no_grad():
            step(adam, values, gradient, RATES, active)  # type: ignore[operator]
        assert torch.equal(values[1], before[0][1])
        assert all(torch.equal(tensor, before[1][name]) for name, tensor in adam.replica_state(1).items())
        assert adam.t.tolist() == [number + 1, 0, number + 1]
    assert bool(values.isfinite().all())


def test_a_step_size_of_zero_changes_nothing() -> None:
    values, found = problem(1)
    before = values.clone()
    Adam(values, SPECS).step(values, found[0], torch.zeros(3, dtype=torch.float64))
    assert torch.equal(values, before)


def test_a_replica_goes_on_from_its_state() -> None:
    values, found = problem(10)
    adam = Adam(values, SPECS)
    for gradient in found[:5]:
        adam.step(values, gradient, RATES)
    state, row = adam.replica_state(1), values[1].clone()
    for gradient in found[5:]:
        adam.step(values, gradient, RATES)
    again = torch.zeros(2, 50, dtype=torch.float64)
    other = Adam(again, [SPECS[0], SPECS[1]])
    other.load_replica(1, state)
    again[1] = row
    for gradient in found[5:]:
        other.step(again, gradient[[0, 1]], RATES[[0, 1]])
    assert torch.equal(again[1], values[1])
    other.reset_replica(1)
    assert int(other.t[1]) == 0
    assert bool((other.m[1] == 0).all() and (other.v[1] == 0).all())
