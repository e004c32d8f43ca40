"""Matrix multiplications in bf16: what they change, what they leave alone, and where they are refused."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from model_packs import experiment, pack, train, windows

from scmmlab.config import OptimizerSpec
from scmmlab.errors import SpecError
from scmmlab.methods.scmm.finetuning import finetuning_gradient
from scmmlab.methods.scmm.masking import masks
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.parameters import initial_classifier
from scmmlab.methods.scmm.pretraining import pretraining_gradient
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.matmul import BF16
from scmmlab.replica.optimizer import Adam

SHAPE = Shape(channels=19, width=32)
DIGITS = 2.0**-8


def rounded(**changes: object) -> ScmmSpec:
    """An experiment whose products are rounded, of the width of `SHAPE`."""
    return experiment(network__width=SHAPE.width, **changes).model_copy(update={"precision": "bf16"})


VARIED = [
    rounded(),
    rounded(contrast__temperature=0.2, aggregator__top_k=9, masking__mode="channel"),
    rounded(aggregator__enabled=False),
    rounded(contrast__enabled=False),
    rounded(reconstruction__enabled=False, contrast__weights="hard"),
]


def pretrained(experiments: Sequence[ScmmSpec], seeds: Sequence[int], steps: int = 4) -> list[torch.Tensor]:
    """Parameters and running statistics of each replica, one row each, after some steps."""
    parameters, settings, seed_R = pack(list(experiments), list(seeds), dtype=torch.float32, shape=SHAPE)
    x = torch.cat([windows(1, 32, seed, SHAPE, torch.float32) for seed in seeds])
    train(parameters, settings, seed_R, x, steps)
    states = [parameters.replica_state(slot).values() for slot in range(len(seeds))]
    return [torch.cat([tensor.flatten().float() for tensor in state]) for state in states]


def test_pre_training_alone_and_in_a_pack() -> None:
    everyone = pretrained(VARIED, range(5))
    moved = pretrained([VARIED[r] for r in (3, 0, 4, 2, 1)], (3, 0, 4, 2, 1))
    for slot, r in enumerate((3, 0, 4, 2, 1)):
        assert torch.equal(moved[slot], everyone[r])
        assert torch.equal(pretrained([VARIED[r]], [r])[0], everyone[r])


def finetuned(seeds: Sequence[int], precision: str, freeze: bool = False) -> list[torch.Tensor]:
    """Encoder and classifier of folds of the published width and of different sizes, after three steps."""
    shape = Shape(channels=19, classes=3)
    full, _, seed_R = pack([ScmmSpec()] * len(seeds), list(seeds), dtype=torch.float32, shape=shape)
    learners = [full.part("encoder."), initial_classifier(shape, seed_R, "cpu", torch.float32)]
    adams = [Adam(parameters.values, [OptimizerSpec()] * len(seeds)) for parameters in learners]
    x = torch.cat([windows(1, 32, seed, shape, torch.float32) for seed in seeds])
    label = torch.arange(32).expand(len(seeds), -1) % 3
    mask = torch.stack([torch.arange(32) < 32 - seed for seed in seeds])
    for _ in range(3):
        found = finetuning_gradient(*learners, x, label, mask, freeze, precision)
        for adam, parameters, gradient in zip(adams, learners, found[2:], strict=True):
            adam.step(parameters.values, gradient, torch.full((len(seeds),), 1e-3))
    return [torch.cat([parameters.values[slot] for parameters in learners]) for slot in range(len(seeds))]


@pytest.mark.parametrize("freeze", [False, True])
def test_fine_tuning_alone_and_in_a_pack(freeze: bool) -> None:
    together = finetuned([8, 3, 10, 11, 5], "bf16", freeze)
    assert torch.equal(finetuned([3], "bf16", freeze)[0], together[1])
    assert torch.equal(finetuned([5, 3], "bf16", freeze)[1], together[1])


def gradients(precision: str) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    chosen = rounded().model_copy(update={"precision": precision})
    parameters, settings, seed_R = pack([chosen], [1], dtype=torch.float32, shape=SHAPE)
    x, keep = windows(1, 64, 2, SHAPE, torch.float32), masks(settings, seed_R, 0, 0, 64, SHAPE.channels, SHAPE.bands)
    losses, _ = pretraining_gradient(parameters, x, keep, settings)
    return torch.stack(losses), {name: tensor.clone() for name, tensor in parameters.gradients.items()}


def test_each_gradient_is_near_that_of_float32() -> None:
    losses, exact = gradients("float32")
    near_losses, near = gradients("bf16")
    torch.testing.assert_close(near_losses, losses, rtol=4 * DIGITS, atol=0)
    for name, gradient in exact.items():
        error = (near[name] - gradient).norm() / gradient.norm().clamp(min=1e-6)
        assert error < 0.1, name
        if name.endswith("weight"):
            assert error > DIGITS / 64, f"{name} was not rounded"


def test_operands_have_eight_digits_and_sums_have_more() -> None:
    # 2⁸ + 1 needs nine digits; 256 ones and the half do not get lost in a sum, as they would with eight digits
    assert BF16.operand(torch.tensor([257.0])).item() == 256
    row = torch.full((1, 1, 512), 1.0)
    assert BF16.bmm(BF16.operand(row), BF16.operand(row.transpose(1, 2))).item() == 512
    assert BF16.bmm(BF16.operand(row), BF16.operand(row.transpose(1, 2))).dtype == torch.float32


def test_float32_beside_bf16_keeps_its_last_bit() -> None:
    exact = [e.model_copy(update={"precision": "float32"}) for e in VARIED]
    before, folds = pretrained(exact, range(5)), finetuned([3, 4], "float32")
    with ThreadPoolExecutor(1) as other:
        running = other.submit(pretrained, VARIED, range(5), 12)
        during = pretrained(exact, range(5))
        running.result()
    after = pretrained(exact, range(5))
    for r in range(5):
        assert torch.equal(before[r], during[r])
        assert torch.equal(before[r], after[r])
    assert torch.equal(torch.stack(folds), torch.stack(finetuned([3, 4], "float32")))


def test_precisions_are_not_mixed() -> None:
    with pytest.raises(SpecError, match=r"same 'precision', got \['bf16', 'float32'\]"):
        PackSettings.stack([ScmmSpec(), ScmmSpec(precision="bf16")], [False] * 2, "cpu", torch.float32)


def test_float64_is_not_rounded() -> None:
    with pytest.raises(SpecError, match=r"float32 arithmetic, got torch\.float64"):
        PackSettings.stack([ScmmSpec(precision="bf16")], [False], "cpu", torch.float64)
