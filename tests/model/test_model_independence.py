"""A replica's numbers do not depend on its neighbours: on a CPU, bit for bit."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
import torch
from model_packs import SHAPE, experiment, pack, train, windows

from scmmlab.config import OptimizerSpec
from scmmlab.methods.scmm.finetuning import classify, finetuning_gradient
from scmmlab.methods.scmm.parameters import initial_classifier
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica import replicas
from scmmlab.replica.optimizer import Adam
from scmmlab.replica.parameters import Parameters

VARIED = [
    experiment(),
    experiment(contrast__weights="hard", masking__mode="channel"),
    experiment(contrast__distance="manhattan", contrast__temperature=0.2, aggregator__top_k=3),
    experiment(contrast__enabled=False, masking__mode="none"),
    experiment(aggregator__enabled=False, contrast__distance="euclidean", masking__mode="parallel"),
    experiment(reconstruction__enabled=False, loss__weighting="fixed"),
    experiment(contrast__enabled=False, aggregator__enabled=False),
    experiment(contrast__similarity="cosine", contrast__normaliser="rows", masking__mode="band"),
    experiment(contrast__normaliser="weight_mass", reconstruction__target="original", reconstruction__on="masked"),
    experiment(contrast__normaliser="weight_mass", contrast__weights="hard", augmentation__noise=0.1),
]


def pretrain(chosen: Sequence[int], dtype: torch.dtype) -> list[dict[str, torch.Tensor]]:
    """States after four steps of a pack of these replicas, each with its own settings, seed and windows."""
    parameters, settings, seed_R = pack([VARIED[r] for r in chosen], list(chosen), dtype=dtype)
    x_RBCF = torch.cat([windows(1, 16, 50 + r, dtype=dtype) for r in chosen])
    train(parameters, settings, seed_R, x_RBCF, steps=4)
    return [parameters.replica_state(slot) for slot in range(len(chosen))]


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pre_training_alone_in_a_pack_and_in_another_slot(dtype: torch.dtype) -> None:
    everyone, order = pretrain(range(10), dtype), [5, 2, 9, 6, 0, 7, 3, 1, 8, 4]
    moved = pretrain(order, dtype)
    for slot, r in enumerate(order):
        assert_same(moved[slot], everyone[r])
    for r in range(10):
        assert_same(pretrain([r], dtype)[0], everyone[r])


@pytest.mark.parametrize("threads", [2, 3])
def test_pre_training_of_a_pack_on_several_threads(threads: int) -> None:
    one_thread = pretrain(range(7), torch.float32)
    torch.set_num_threads(threads)
    for one, several in zip(one_thread, pretrain(range(7), torch.float32), strict=True):
        assert_same(one, several)
    assert torch.get_num_threads() == threads


def test_spread_keeps_the_order_and_ends_before_it_fails() -> None:
    torch.set_num_threads(2)
    done, both = [], threading.Barrier(2)

    def call(number: int) -> tuple[int, int]:
        both.wait(timeout=60)
        if number == 2:
            raise ValueError("two")
        done.append(number)
        return number, torch.get_num_threads()

    assert replicas.spread(call, [(0,), (1,)]) == [(0, 1), (1, 1)]
    with pytest.raises(ValueError, match="two"):
        replicas.spread(call, [(2,), (3,), (4,), (5,)])
    assert sorted(done) == [0, 1, 3, 4, 5]


def test_threads_are_kept_for_whole_replicas() -> None:
    torch.set_num_threads(3)
    cpu = torch.device("cpu")
    with replicas.threads_for_replicas(2, cpu):
        assert (torch.get_num_threads(), replicas.replica_threads()) == (1, 3)
    assert (torch.get_num_threads(), replicas.replica_threads()) == (3, 3)
    # a replica that is alone, and a GPU, keep what operations have
    for alone in (replicas.threads_for_replicas(1, cpu), replicas.threads_for_replicas(2, torch.device("meta"))):
        with alone:
            assert torch.get_num_threads() == 3
    torch.set_num_threads(1)
    replicas.keep_for_replicas(2)
    try:
        both = threading.Barrier(2)  # two calls at a time, where an operation has one thread

        def meet(number: int) -> int:
            both.wait(timeout=60)
            return number

        assert replicas.spread(meet, [(0,), (1,)]) == [0, 1]
        with replicas.threads_for_replicas(2, cpu):
            assert replicas.replica_threads() == 2
        assert replicas.replica_threads() == 2
    finally:
        replicas.keep_for_replicas(None)
    assert replicas.replica_threads() == 1


def test_a_pack_whose_threads_are_kept_for_replicas() -> None:
    one_thread = pretrain(range(7), torch.float32)
    torch.set_num_threads(2)
    with replicas.threads_for_replicas(7, torch.device("cpu")):
        for one, several in zip(one_thread, pretrain(range(7), torch.float32), strict=True):
            assert_same(one, several)


@pytest.mark.parametrize("together", [2, 99])
def test_pre_training_of_several_at_a_time_differs_by_rounding_alone(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = pretrain(range(7), torch.float64)
    monkeypatch.setattr(replicas, "CPU_PRETRAINING", together)
    for one, two in zip(alone, pretrain(range(7), torch.float64), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-11, atol=1e-13)


def finetune(chosen: Sequence[int], sizes: dict[int, int], dtype: torch.dtype) -> list[dict[str, torch.Tensor]]:
    """States after three steps of batches of 8 rows of which each replica has its own number."""
    seed_R = torch.tensor(list(chosen))
    full, _, _ = pack([VARIED[0]] * len(chosen), list(chosen), dtype=dtype)
    learners: list[Parameters] = [full.part("encoder."), initial_classifier(SHAPE, seed_R, "cpu", dtype)]
    adams = [Adam(parameters.values, [OptimizerSpec()] * len(chosen)) for parameters in learners]
    rate_R = torch.full((len(chosen),), 1e-3, dtype=dtype)
    x_RBCF = torch.cat([windows(1, 8, 70 + r, dtype=dtype) for r in chosen])
    label_RB = torch.arange(8).expand(len(chosen), -1) % 3
    mask_RB = torch.stack([torch.arange(8) < sizes[r] for r in chosen])
    for _ in range(3):
        found = finetuning_gradient(*learners, x_RBCF, label_RB, mask_RB)
        for adam, parameters, gradient in zip(adams, learners, found[2:], strict=True):
            adam.step(parameters.values, gradient, rate_R)
    return [learners[0].replica_state(slot) | learners[1].replica_state(slot) for slot in range(len(chosen))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fine_tuning_with_folds_of_different_sizes(dtype: torch.dtype) -> None:
    sizes = {0: 8, 1: 3, 2: 5, 3: 8}
    everyone = finetune([0, 1, 2, 3], sizes, dtype)
    moved = finetune([2, 0, 3, 1], sizes, dtype)
    for slot, r in enumerate([2, 0, 3, 1]):
        assert_same(moved[slot], everyone[r])
    for r in range(4):
        assert_same(finetune([r], sizes, dtype)[0], everyone[r])


@pytest.mark.parametrize(
    ("batch", "classes", "together"), [(128, 3, True), (32, 2, True), (32, 5, True), (20, 3, False)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fine_tuning_of_the_published_network(batch: int, classes: int, together: bool, dtype: torch.dtype) -> None:
    """Where replicas may be computed together, and in packs of any size."""
    shape, experiments = Shape(channels=19, classes=classes), [ScmmSpec()] * 6
    x = windows(4, batch, shape=shape)
    assert (replicas.finetuning_replicas(x, 32, (128, classes)) > 1) == together
    states = []
    # a fold without neighbours is computed by one thread here: of several it would take all
    for seeds, threads in (([3], 1), ([8, 3, 10], 1), ([8, 9, 10, 11, 3, 12], 1), ([8, 9, 3], 2), ([9, 3, 8, 4, 1], 3)):
        torch.set_num_threads(threads)
        seed_R = torch.tensor(seeds)
        full, _, _ = pack(experiments[: len(seeds)], seeds, dtype=dtype, shape=shape)
        learners = [full.part("encoder."), initial_classifier(shape, seed_R, "cpu", dtype)]
        adams = [Adam(parameters.values, [OptimizerSpec()] * len(seeds)) for parameters in learners]
        x_RBCF = torch.cat([windows(1, batch, seed, shape, dtype) for seed in seeds])
        label_RB = torch.arange(batch).expand(len(seeds), -1) % classes
        mask_RB = torch.stack([torch.arange(batch) < batch - seed for seed in seeds])
        for _ in range(3):
            found = finetuning_gradient(*learners, x_RBCF, label_RB, mask_RB)
            for adam, parameters, gradient in zip(adams, learners, found[2:], strict=True):
                adam.step(parameters.values, gradient, torch.full((len(seeds),), 1e-3, dtype=dtype))
        slot = seeds.index(3)
        states.append(learners[0].replica_state(slot) | learners[1].replica_state(slot))
        states[-1]["logits"] = classify(*learners, x_RBCF)[slot]
    for state in states[1:]:
        assert_same(states[0], state)
