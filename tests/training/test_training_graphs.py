"""CUDA graphs: when a step is captured, what becomes of it where it cannot be, and how a graph is checked."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import pytest
import torch

from scmmlab.benchmarks import graph_check
from scmmlab.benchmarks.graph_check import verify_graphs
from scmmlab.benchmarks.steps import finetuning_epoch, pretraining_epoch
from scmmlab.replica import cuda_graph
from scmmlab.replica.cuda_graph import CudaGraph, GraphedTensor
from scmmlab.replica.kernel_stats import KernelStats
from scmmlab.replica.precision import multiplications

META = torch.device("meta")


def graph_on_a_gpu(monkeypatch, capture):
    """A graph whose capture is `capture`: this machine need have no GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda_graph, "_capture", capture)
    monkeypatch.setattr(cuda_graph, "_warned", set())
    return CudaGraph(torch.device("cuda"))


def test_a_function_that_cannot_be_captured_is_called_and_the_reason_is_told_once(monkeypatch, caplog):
    def refused(function, idle, device):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    calls = []
    for _ in range(2):
        graph = graph_on_a_gpu(monkeypatch, refused) if not calls else CudaGraph(torch.device("cuda"))
        with caplog.at_level(logging.WARNING):
            graph.prepare(lambda: None, lambda: None)
            graph.prepare(lambda: None, lambda: None)
        graph.run(lambda: calls.append(1))
        assert graph.reason == "RuntimeError: operation not permitted when stream is capturing"
    assert calls == [1, 1]
    assert [record.message for record in caplog.records] == [
        f"Training goes on without a CUDA graph, kernel by kernel: {graph.reason}"
    ]


def test_memory_that_runs_out_in_a_capture_is_no_reason_to_go_on(monkeypatch):
    """A pack that does not fit is halved, whatever ending the broken capture raised."""

    def short(function, idle, device):
        try:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        finally:
            raise RuntimeError("the capture was invalidated")

    graph = graph_on_a_gpu(monkeypatch, short)
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        graph.prepare(lambda: None, lambda: None)


def test_a_captured_function_is_replayed_and_captured_once(monkeypatch):
    done = []

    class Replayed:
        def replay(self):
            done.append("replayed")

    def capture(function, idle, device):
        idle()
        function()
        return Replayed()

    graph = graph_on_a_gpu(monkeypatch, capture)
    for _ in range(2):
        graph.prepare(lambda: done.append("called"), lambda: done.append("idle"))
        graph.run(lambda: done.append("called"))
    assert done == ["idle", "called", "replayed", "replayed"]
    assert graph.reason is None
    assert CudaGraph(torch.device("cuda"), wanted=False).reason == "none was wanted"


def test_a_tensor_that_is_made_again_is_made_where_there_is_no_graph():
    made = GraphedTensor(torch.device("cpu"))
    number = torch.zeros(1)
    assert made(lambda: number + 1).item() == 1
    number += 1
    assert made(lambda: number + 1).item() == 2


@pytest.mark.parametrize("make", [pretraining_epoch, finetuning_epoch])
def test_a_step_launches_hardly_more_kernels_for_many_replicas_than_for_one(make):
    """On tensors without numbers; a few tensors are contiguous for one replica alone. Bytes grow with the replicas."""
    one, many = (make(size, META, steps=2) for size in (1, 64))
    for workload in (one, many):
        workload.run()
    assert one.operations().total <= many.operations().total < one.operations().total + 5 < 350
    assert set(one.operations().devices) == {"meta"}
    assert 60 < many.operations().bytes / one.operations().bytes < 68


def test_what_is_copied_by_a_conversion_counts_and_what_is_left_alone_does_not():
    number = torch.zeros(8)
    with KernelStats() as found:
        number.to(torch.float64)
        number.to(torch.float32)
        number.view(2, 4).flatten()
    assert found.operations == {"aten::_to_copy": 1}
    assert found.bytes == 8 * (4 + 8)


def test_a_graph_that_is_not_there_is_within_no_tolerance():
    checks, reasons = verify_graphs("cpu")
    assert [math.isnan(check.error) for check in checks] == [True, True]
    assert not any(check.ok for check in checks)
    assert reasons == [f"{kind}: only a GPU has CUDA graphs, this is 'cpu'" for kind in ("pre-training", "fine-tuning")]


def test_a_replay_that_trains_otherwise_is_found(monkeypatch):
    """The comparison, of what a CPU trains from buffers with itself, and with a step size that is not its own."""

    def workload(graphed, wrong):
        made = pretraining_epoch(2, torch.device("cpu"), graphed, batch=32, steps=2)
        if graphed and wrong:
            with torch.no_grad():
                made.learned[0][1, 7] += 1e-2
        return replace(made, no_graph_reason=lambda: None)

    for wrong in (False, True):

        def make(replicas, device, cuda_graph, steps, wrong=wrong):
            return workload(cuda_graph, wrong)

        monkeypatch.setattr(graph_check, "pretraining_epoch", make)
        monkeypatch.setattr(graph_check, "finetuning_epoch", make)
        checks, reasons = verify_graphs("cpu")
        assert [check.ok for check in checks] == [not wrong] * 2
        assert reasons == []
        assert all(check.error > 0 for check in checks) == wrong


def test_precision_of_multiplications_is_set_aloud_and_given_back():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with multiplications():
            assert torch.get_float32_matmul_precision() == "highest"
            with multiplications("tf32"):
                assert torch.backends.cuda.matmul.allow_tf32
            assert not torch.backends.cuda.matmul.allow_tf32
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
