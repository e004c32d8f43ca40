import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scmmlab.config import OptimizerSpec
from scmmlab.replica.batches import epoch_batches, steps_per_epoch
from scmmlab.replica.schedule import learning_rate
from scmmlab.replica.seeding import derive_seed, finetune_purpose

replicas = st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 5), st.integers(1, 40)), min_size=1, max_size=6)


def batches_of(packed, batch_size, drop_last):
    seeds, epochs, windows = zip(*packed, strict=True)
    return epoch_batches(torch.tensor(seeds), "test", torch.tensor(epochs), windows, batch_size, drop_last)


@settings(deadline=None)
@given(packed=replicas, batch_size=st.integers(1, 16))
def test_each_window_comes_once_an_epoch(packed, batch_size):
    batches = batches_of(packed, batch_size, drop_last=False)
    for replica, (_, _, windows) in enumerate(packed):
        taken = batches.window_RSB[replica][batches.real_RSB[replica]]
        assert sorted(taken.tolist()) == list(range(windows))
        assert batches.active_RS[replica].sum() == steps_per_epoch(windows, batch_size, drop_last=False)


@settings(deadline=None)
@given(packed=replicas, batch_size=st.integers(1, 16))
def test_dropping_the_last_leaves_only_full_batches(packed, batch_size):
    batches = batches_of(packed, batch_size, drop_last=True)
    for replica, (_, _, windows) in enumerate(packed):
        real = batches.real_RSB[replica]
        assert torch.equal(real.all(1), real.any(1))
        assert torch.equal(real.all(1), batches.active_RS[replica])
        taken = batches.window_RSB[replica][real].tolist()
        assert len(taken) == len(set(taken)) == windows // batch_size * batch_size


@settings(deadline=None)
@given(packed=replicas, batch_size=st.integers(1, 16), drop_last=st.booleans())
def test_order_of_a_replica_does_not_depend_on_its_neighbours(packed, batch_size, drop_last):
    together = batches_of(packed, batch_size, drop_last)
    for replica, own in enumerate(packed):
        alone = batches_of([own], batch_size, drop_last)
        steps = alone.steps
        assert torch.equal(together.window_RSB[replica, :steps], alone.window_RSB[0])
        assert torch.equal(together.real_RSB[replica, :steps], alone.real_RSB[0])
        assert not together.real_RSB[replica, steps:].any()
    assert together.full == tuple(together.active_RS.all(0).tolist())


def test_order_changes_with_the_epoch():
    first, second = (batches_of([(1, epoch, 30)], 30, False).window_RSB for epoch in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("epochs", [1, 7, 50])
def test_cosine_is_that_of_torch(epochs):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=5e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for epoch in range(epochs):
        assert learning_rate(OptimizerSpec(), epoch, epochs) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        scheduler.step()


def test_constant_rate_is_the_same_in_each_epoch():
    constant = OptimizerSpec(schedule="constant")
    assert {learning_rate(constant, epoch, 5) for epoch in range(5)} == {5e-4}
    assert {learning_rate(OptimizerSpec(), epoch, 5, constant=True) for epoch in range(5)} == {5e-4}


@given(seed=st.integers(-(2**70), 2**70), other=st.integers(-(2**70), 2**70))
def test_seed_of_a_purpose_is_a_positive_int64_that_depends_on_seed_and_purpose(seed, other):
    derived = derive_seed(seed, "pretrain")
    assert 0 <= derived < 2**63
    assert derived == derive_seed(seed, "pretrain")
    assert derived != derive_seed(seed, finetune_purpose("subject 3"))
    assert (derived == derive_seed(other, "pretrain")) == (seed == other)
