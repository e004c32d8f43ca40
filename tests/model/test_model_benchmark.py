"""The benchmark measures what training does, and says what it measured."""

from __future__ import annotations

import torch

from scmmlab.benchmarks import steps as bench


def test_quick_rates() -> None:
    device = torch.device("cpu")
    rates = {
        kind: bench._measure(lambda r, d, make=make: make(r, d, 16), (1, 2), 1, device)
        for kind, make in (("pretrain", bench.pretraining_workload), ("finetune", bench.finetuning_workload))
    }
    for kind in rates.values():
        assert kind["single"] == kind["packed"]["1"] > 0
        assert set(kind["packed"]) == set(kind["shares"]) == {"1", "2"}
        assert kind["share_of_matmul_ceiling"] == kind["shares"]["1"] > 0
        assert set(kind["milliseconds"]) == {"step 1", "matmul 1", "step 2"}
        assert kind["graph"] == "a CPU has no CUDA graphs"
    # fifteen kernels for each of a step's multiplications
    assert 18 < rates["finetune"]["kernels_per_step"]["1"] < rates["pretrain"]["kernels_per_step"]["1"] < 500


def test_work_of_a_step_is_that_of_the_design() -> None:
    def flops(workload: bench.TimedSteps) -> float:
        return sum(2 * m * k * n for m, k, n in workload.products)

    device = torch.device("cpu")
    assert abs(flops(bench.pretraining_workload(1, device)) / 1e9 - 2.1) < 0.1
    assert abs(flops(bench.finetuning_workload(1, device)) / 1e9 - 0.175) < 0.02


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    rates = bench.interleaved({"nothing": lambda: None}, 3, torch.device("cpu"))
    assert len(rates["nothing"]) == 3
    assert torch.get_num_threads() == before
