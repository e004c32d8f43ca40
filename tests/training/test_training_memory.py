"""A pack for which there is no memory is halved, and goes on from its checkpoints to the same numbers."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import traceback
import weakref

import pytest
import torch
from training_cases import TABLES_OF, MemoryReporter, assert_same, cell_request, pretrain_request

from scmmlab.methods.scmm.finetune_pack import FinetunePack
from scmmlab.methods.scmm.pretrain_pack import PretrainPack
from scmmlab.replica.shortage import drop_frames, out_of_memory
from scmmlab.training import Reporter, StageFailure, StageOutput
from scmmlab.training.memory import MemoryLimit, PeakMemory, free_memory
from scmmlab.training.stages import run_cell_stage, run_pretrain_stage

pytestmark = pytest.mark.slow

ERRORS = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: not enough memory: you tried ..."),
    "host": MemoryError("Unable to allocate 4.00 GiB for an array"),
}


def room_for(monkeypatch, pack, replicas, error, from_epoch=0):
    """Let `pack` raise `error` with more replicas than that; the list of sizes that trained grows."""
    trained = []
    train = pack.train_epoch

    def short_of_memory(self):
        members = self.runs
        if len(members) > replicas and members[0].epoch >= from_epoch:
            raise error
        trained.append(len(members))
        return train(self)

    monkeypatch.setattr(pack, "train_epoch", short_of_memory)
    return trained


@pytest.mark.parametrize("kind", sorted(ERRORS))
def test_encoders_go_on_in_halves_from_their_checkpoints(monkeypatch, kind):
    requests = [pretrain_request(f"p{seed}", seed) for seed in range(6)]
    whole = run_pretrain_stage(requests, TABLES_OF, Reporter(), pack_size=6)
    assert all(outcome.halved_to is None for outcome in whole)
    trained = room_for(monkeypatch, PretrainPack, 2, ERRORS[kind], from_epoch=2)
    halved = run_pretrain_stage(requests, TABLES_OF, MemoryReporter(), checkpoint_every=1, pack_size=6)
    for one, other in zip(whole, halved, strict=True):
        assert_same(one, other)
        assert other.halved_to == 1
    # two epochs of six; then three did not fit either: what was trained before is not trained again
    assert trained == [6, 6] + [1] * 12


@pytest.mark.parametrize("kind", sorted(ERRORS))
def test_folds_go_on_in_halves_from_their_checkpoints(monkeypatch, kind):
    requests = [cell_request("a"), cell_request("b", seed=1)]
    whole = run_cell_stage(requests, TABLES_OF, Reporter(), pack_size=8)
    trained = room_for(monkeypatch, FinetunePack, 4, ERRORS[kind], from_epoch=2)
    halved = run_cell_stage(requests, TABLES_OF, MemoryReporter(), checkpoint_every=1, pack_size=8)
    for one, other in zip(whole, halved, strict=True):
        assert_same(one, other)
        assert other.halved_to == 4
    assert trained == [8, 8, 4, 4, 4, 4]


def test_what_was_learned_holds_for_the_packs_that_follow(monkeypatch):
    trained = room_for(monkeypatch, PretrainPack, 2, MemoryError())
    requests = [pretrain_request(f"p{seed}", seed, pretrain={"epochs": 1}) for seed in range(8)]
    run_pretrain_stage(requests, TABLES_OF, Reporter(), pack_size=4)
    assert trained == [2, 2, 2, 2]


def test_one_for_which_alone_there_is_no_memory_fails_and_says_so(monkeypatch):
    room_for(monkeypatch, PretrainPack, 0, ERRORS["cuda"])
    room_for(monkeypatch, FinetunePack, 0, ERRORS["cuda"])
    for outcome in (
        *run_pretrain_stage([pretrain_request("p"), pretrain_request("q", 1)], TABLES_OF, Reporter()),
        *run_cell_stage([cell_request("c")], TABLES_OF, Reporter()),
    ):
        assert isinstance(outcome, StageFailure)
        assert f"not enough memory to train {outcome.key} alone" in outcome.error
        assert "Hint: lower its batch size" in outcome.error


def test_an_error_that_is_not_about_memory_halves_no_later_pack(monkeypatch):
    train = PretrainPack.train_epoch

    def broken(self):
        if any(encoder.key == "p1" for encoder in self.runs):
            raise RuntimeError("a kernel failed")
        return train(self)

    monkeypatch.setattr(PretrainPack, "train_epoch", broken)
    outcomes = run_pretrain_stage([pretrain_request(f"p{seed}", seed) for seed in range(3)], TABLES_OF, Reporter())
    assert [type(outcome) for outcome in outcomes] == [StageOutput, StageFailure, StageOutput]
    assert outcomes[0].halved_to is None


def test_pack_that_broke_is_gone_before_its_halves_are_made(monkeypatch):
    alive: list[weakref.ref] = []
    most: list[int] = []
    build, train = PretrainPack.__init__, PretrainPack.train_epoch

    def remember(self, *arguments):
        gc.collect()
        most.append(sum(pack() is not None for pack in alive))
        build(self, *arguments)
        alive.append(weakref.ref(self))

    def short_of_memory(self):
        if len(self.runs) > 1:
            activations = torch.zeros(10)
            raise MemoryError(f"no room beside {activations.numel()}")
        return train(self)

    monkeypatch.setattr(PretrainPack, "__init__", remember)
    monkeypatch.setattr(PretrainPack, "train_epoch", short_of_memory)
    outcomes = run_pretrain_stage([pretrain_request(f"p{seed}", seed) for seed in range(4)], TABLES_OF, Reporter())
    assert all(isinstance(outcome, StageOutput) for outcome in outcomes)
    assert most == [0] * len(most)


def test_what_an_error_holds_is_freed():
    held: list[weakref.ref] = []

    def step():
        activations = torch.zeros(1000)
        held.append(weakref.ref(activations))
        try:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory")
        except RuntimeError as error:
            raise ValueError("in the step") from error

    try:
        step()
    except ValueError as error:
        kept = error
    assert held[0]() is not None
    drop_frames(kept)
    assert held[0]() is None
    assert "step" in "".join(traceback.format_exception(kept))


def test_other_errors_are_not_about_memory():
    assert all(out_of_memory(error) for error in ERRORS.values())
    assert not any(map(out_of_memory, (RuntimeError("shapes differ"), ValueError("not enough memory"), OSError(28))))


def test_room_only_shrinks():
    limit = MemoryLimit()
    for replicas, expected in ((16, 8), (20, 8), (8, 4), (1, 1)):
        limit.ran_out(replicas)
        assert limit.replicas == expected


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_meter_sees_a_block_that_has_been_freed_again_and_forgets_it():
    peak_memory = PeakMemory("cpu")
    peak_memory.restart()
    block = torch.ones(25_000_000)
    del block
    assert 90e6 < peak_memory.most() < 200e6
    peak_memory.restart()
    assert peak_memory.most() < 50e6
    assert free_memory("cpu") > 0


LIMITED = """
import json, resource, sys
sys.path[:0] = sys.argv[1].split(":")
import torch
from training_cases import TABLES_OF, pretrain_request
from scmmlab.training import Reporter, StageOutput
from scmmlab.training.memory import _status
from scmmlab.training.stages import run_pretrain_stage

def run(count):
    changes = {"network": {"width": 512}, "pretrain": {"epochs": 2}}
    requests = [pretrain_request(f"p{seed}", seed, **changes) for seed in range(count)]
    return run_pretrain_stage(requests, TABLES_OF, Reporter(), pack_size=count)

run(1)  # what is allocated once
if sys.argv[2] != "no limit":
    limit = _status("VmSize") + int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
outcomes = run(8)
print(json.dumps([
    [outcome.halved_to, outcome.record["curve"]] if isinstance(outcome, StageOutput) else outcome.error
    for outcome in outcomes
]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_pack_that_the_system_gives_no_memory_is_halved_to_the_same_curves():
    def run(limit):
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, ":".join(path for path in sys.path if path), limit],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    free, limited = run("no limit"), run(str(LIMIT))
    assert all(halved_to is None for halved_to, _ in free)
    assert all(halved_to in (1, 2, 4) for halved_to, _ in limited), limited
    assert [curve for _, curve in limited] == [curve for _, curve in free]


LIMIT = 400_000_000
"""Bytes: more than two encoders of width 512 need, and less than eight do."""
