"""Several workers pre-train to the numbers of one."""

import pickle

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given
from hypothesis import strategies as st
from training_cases import SOURCE, TABLES_OF, MemoryReporter, assert_same, pretrain_request

from scmmlab.features import Scaler
from scmmlab.methods.contract import PretrainRun
from scmmlab.methods.scmm.pretrain_pack import PretrainPack
from scmmlab.replica.collectives import SINGLE_PROCESS, TorchDistributed
from scmmlab.replica.windows import WindowPool
from scmmlab.training import Reporter, StageFailure, StageOutput
from scmmlab.training.data import PretrainData
from scmmlab.training.data_parallel import ShardedPool, fit_together, pretrain_data_parallel
from scmmlab.training.stages import run_pretrain_stage

ROWS = np.arange(len(SOURCE))


def parallel(request, rows=ROWS, features=SOURCE.features, group=SINGLE_PROCESS, reporter=None, **options):
    return pretrain_data_parallel(
        request, rows, features, SOURCE.manifest.fingerprint, group, reporter or Reporter(), **options
    )


def test_one_worker_gives_the_stage_to_the_last_bit():
    (stage,) = run_pretrain_stage([pretrain_request()], TABLES_OF, Reporter())
    assert_same(stage, parallel(pretrain_request()))


def test_rows_may_come_in_any_order_and_with_padding():
    order = np.random.default_rng(0).permutation(len(SOURCE))
    rows = np.concatenate([order, [-1, -1]])
    features = np.concatenate([SOURCE.features[order], np.full((2, *SOURCE.features.shape[1:]), np.nan, np.float32)])
    assert_same(parallel(pretrain_request()), parallel(pretrain_request(), rows, features))


@pytest.mark.parametrize("rows", [ROWS[ROWS != 5], np.concatenate([ROWS, [7]])])
def test_row_that_is_missing_or_doubled_is_refused(rows):
    outcome = parallel(pretrain_request(), rows, SOURCE.features[rows])
    assert isinstance(outcome, StageFailure)
    assert "with exactly one worker, but 1 are with none or with several" in outcome.error


def test_first_batches_of_the_released_protocol_are_refused():
    outcome = parallel(pretrain_request(protocol={"kind": "released"}))
    assert isinstance(outcome, StageFailure)
    assert "'pretrain.batches' must be 'all', got 10" in outcome.error


@given(kind=st.sampled_from(["min_max", "standard", "none"]), seed=st.integers(0, 99))
def test_scaler_of_parts_is_that_of_the_whole(kind, seed):
    x = np.random.default_rng(seed).normal(size=(7, 3, 5)).astype(np.float32)
    x[:, 1, 2] = 0.1
    ours, whole = fit_together(kind, x, SINGLE_PROCESS, torch.device("cpu")), Scaler.fit(kind, x)
    np.testing.assert_allclose(ours.offset, whole.offset, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.span, whole.span, rtol=1e-12)


def _worker(rank, workers, folder, requests):
    """One of several processes, with a part of the windows that is not as large as the others'."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=workers)
    group = TorchDistributed()
    # interleaved, uneven parts
    own = ROWS[ROWS % 5 != 0] if rank == 0 else ROWS[ROWS % 5 == 0]
    reporter = MemoryReporter(stop=lambda key, epoch: key == "stopped" and epoch == 2)
    outcomes = [
        parallel(request, own, SOURCE.features[own], group, reporter, checkpoint_every=2) for request in requests
    ]
    # a second go finds rank 0's checkpoints of the last epoch
    outcomes.append(parallel(requests[0], own, SOURCE.features[own], group, reporter, checkpoint_every=2))
    double = trained_in_double(ShardedPool(own, SOURCE.features[own], group, "cpu", torch.float64), group)
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps((outcomes, len(reporter.events), double)))
    dist.destroy_process_group()


def trained_in_double(pool, group):
    """Parameters after two epochs in float64, where rounding is too small to matter."""
    request = pretrain_request(masking={"views": 2})
    features = pool.shard if isinstance(pool, ShardedPool) else SOURCE.features
    nothing = np.zeros(0, dtype=np.int64)
    data = PretrainData(features, len(SOURCE), Scaler.fit("min_max", SOURCE.features), "", nothing, np.zeros(0))
    pack = PretrainPack([PretrainRun("p", request.experiment, 0, data)], pool, group)
    pack.train_epoch()
    pack.train_epoch()
    return pack.parameters.replica_state(0)


@pytest.mark.slow
def test_two_workers_with_half_the_batch_each_give_the_loss_and_parameters_of_one(tmp_path):
    requests = [
        pretrain_request("full"),
        pretrain_request("views", masking={"views": 2, "mode": "parallel"}),
        pretrain_request("top", aggregator={"top_k": 5}, scaling="standard"),
        pretrain_request("stopped"),
    ]
    mp.spawn(_worker, (2, tmp_path, requests), nprocs=2)
    (first, reports, double), (second, silence, _) = (
        pickle.loads((tmp_path / f"{rank}.pickle").read_bytes()) for rank in range(2)
    )
    reporter = MemoryReporter(stop=lambda key, epoch: (key, epoch) == ("stopped", 2))
    alone = run_pretrain_stage(requests, TABLES_OF, reporter)
    assert silence == 0
    assert reports == 4 + 4 + 4 + 2
    for one, here, there in zip(alone, first, second, strict=False):
        assert isinstance(here, StageOutput), here
        assert_same(here, there)
        assert here.record["state"] == one.record["state"]
        for row, expected in zip(here.record["curve"], one.record["curve"], strict=True):
            assert row == pytest.approx(expected, rel=2e-5)
        for name, tensor in one.tensors.items():
            if name != "projector.0.bias":  # no true gradient: Adam moves it on rounding noise
                np.testing.assert_allclose(here.tensors[name], tensor, rtol=2e-3, atol=2e-4, err_msg=name)
    assert_same(first[0], first[-1])

    one = trained_in_double(WindowPool([SOURCE.features], "cpu", torch.float64), SINGLE_PROCESS)
    for name in one.keys() - {"projector.0.bias"}:
        torch.testing.assert_close(double[name], one[name], rtol=1e-9, atol=1e-11, msg=name)
