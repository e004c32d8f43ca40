"""Packs of a grid: what shares one, how large it is, what is kept of that, and what it never changes."""

from __future__ import annotations

import json
import os
from functools import cache

import pytest
import torch
from tiny_study import ablation, plan_of

from scmmlab.config import AblationSpec, ResourcesSpec
from scmmlab.execution.events import TaskEnded
from scmmlab.execution.grid import pack_sizes
from scmmlab.execution.grid.run import GridRun
from scmmlab.execution.local_engine import LocalEngine
from scmmlab.execution.progress import Progress
from scmmlab.methods.scmm.finetune_pack import FinetunePack
from scmmlab.methods.scmm.pretrain_pack import PretrainPack
from scmmlab.replica.replicas import replica_threads
from scmmlab.study import ResultStore, result_rows, rows_csv
from scmmlab.tables import read_table
from scmmlab.tracking import Tracker

pytestmark = pytest.mark.slow


class PackCountingEngine(LocalEngine):
    """The local engine, which remembers the keys of each task that it ran, by kind."""

    def __init__(self, resources: ResourcesSpec) -> None:
        super().__init__(resources, cache(read_table))
        self.packs: list[tuple[str, tuple[str, ...]]] = []

    def step(self, emit, timeout_s):
        def listen(event):
            if isinstance(event, TaskEnded):
                (kind,) = {outcome.kind for outcome in event.outcomes}
                self.packs.append((kind, tuple(outcome.key for outcome in event.outcomes)))
            emit(event)

        super().step(listen, timeout_s)

    def of(self, kind: str) -> list[tuple[str, ...]]:
        return [keys for one, keys in self.packs if one == kind]


class RecordingProgress(Progress):
    """A progress line that remembers what it said."""

    def __init__(self) -> None:
        super().__init__(0, {})
        self.said: list[str] = []

    def print(self, text: str) -> None:
        self.said.append(text)


def run(study: AblationSpec, folder, progress=None):
    plan, store, engine = plan_of(study), ResultStore(folder), PackCountingEngine(study.resources)
    summary = GridRun(plan, store, engine, cache(read_table), Tracker(), progress).run()
    return plan, store, engine, summary


def rows(plan, store, variants=None):
    cells = [cell for cell in plan.cells if variants is None or cell.variant in variants]
    return rows_csv(result_rows(plan.study.name, cells, store.get_cell))


VARIED = {
    "full": {},
    "random": {"set": {"masking.mode": "random", "masking.ratio": 0.3}},
    "top": {"set": {"aggregator.top_k": 3, "contrast.temperature": 0.2}},
    "no_contrast": {"set": {"contrast.enabled": False}},
    "long": {"set": {"pretrain.epochs": 6, "finetune.epochs": 5, "finetune.optimizer.learning_rate": 0.002}},
    "wide": {"set": {"network.width": 24}},
}


def both_ways(folder, **changes) -> AblationSpec:
    """A study of two transfers with two sources, of the same channels."""
    study = ablation(folder, variants=VARIED, seeds=[0], **changes)
    (there,) = study.transfers
    back = there.model_copy(update={"name": "back", "source": there.target, "target": there.source})
    return study.model_copy(update={"transfers": (there, back)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("packs")


@pytest.fixture(scope="module")
def one_by_one(folder):
    plan, store, engine, _ = run(both_ways(folder, resources={"pack_size": 1}), folder / "one-by-one")
    assert {len(pack) for _, pack in engine.packs} == {1}
    return rows(plan, store)


def test_all_but_shapes_share_packs_over_variants_sources_and_cells_and_change_nothing(folder, one_by_one):
    study = both_ways(folder, resources={"pack_size": 64})
    plan, store, engine, summary = run(study, folder / "packed")
    assert summary.complete
    assert sorted(map(len, engine.of("pretrain"))) == [2, 10]
    assert sorted(map(len, engine.of("finetune"))) == [2, 10]
    assert not engine.of("auxiliary"), "a size that is given is not measured"
    assert rows(plan, store) == one_by_one


def test_cell_that_diverges_fails_with_its_epoch_and_its_neighbours_are_as_if_alone(folder, one_by_one):
    # similarities over so small a temperature overflow float32 at the first step
    variants = VARIED | {"diverges": {"set": {"contrast.temperature": 1e-40}}}
    study = both_ways(folder, resources={"pack_size": 64})
    study = AblationSpec.model_validate(study.model_dump() | {"variants": variants})
    plan, store, engine, summary = run(study, folder / "diverging")
    assert max(map(len, engine.of("pretrain"))) == 12, "they were one pack"
    assert len(summary.failures) == 2
    for failure in summary.failures:
        assert failure.startswith("diverges ·")
        assert "diverged in epoch 1 of 4" in failure
    assert rows(plan, store, VARIED) == one_by_one


def test_size_is_measured_once_kept_in_the_studys_folder_and_no_part_of_a_key(folder, one_by_one, tmp_path):
    plan, store, engine, _ = run(both_ways(folder), tmp_path)
    assert rows(plan, store) == one_by_one
    assert len(engine.of("auxiliary")) == 4, "two kinds of stages, two widths"
    kept = json.loads(store.study_folder("tiny").read_text("packs.json"))
    assert len(kept["packs"]) == 4
    for entry in kept["packs"]:
        assert entry["signature"]["kind"] in ("pretrain", "finetune")
        assert entry["signature"]["width"] in (16, 24)
        rates = entry["rates"]
        assert rates["size"] >= 1
        assert rates["device"]
        assert all(rate > 0 for rate in rates["steps_per_s"].values())

    again = both_ways(folder).model_copy(update={"seeds": (1,)})
    before = store.study_folder("tiny").read_text("packs.json")
    run(again, tmp_path)
    assert json.loads(store.study_folder("tiny").read_text("packs.json")) == json.loads(before), "measured again"


@pytest.mark.parametrize("damaged", ["", "[]", '{"format": 2, "packs": [{"signature": {}}]}', '{"format": 99}'])
def test_measurements_that_cannot_be_read_are_made_again(folder, tmp_path, damaged):
    store = ResultStore(tmp_path)
    store.study_folder("tiny").write_text("packs.json", damaged)
    run(ablation(folder, seeds=[0]), tmp_path)
    assert json.loads(store.study_folder("tiny").read_text("packs.json"))["packs"]


def test_probe_that_fails_stops_nothing(folder, tmp_path, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("a kernel failed")

    monkeypatch.setattr(pack_sizes, "probe_pack_size", broken)
    progress = RecordingProgress()
    *_, summary = run(ablation(folder, seeds=[0]), tmp_path, progress)
    assert summary.complete
    sentence = "The pack size of encoders could not be measured (RuntimeError: a kernel failed): 4 train together."
    assert sentence in progress.said


def test_memory_that_runs_out_is_said_once_and_remembered(folder, one_by_one, tmp_path, monkeypatch):
    def short_of_memory(pack, room):
        train = pack.train_epoch

        def train_epoch(self):
            if len(self.runs) > room:
                raise MemoryError("Unable to allocate")
            return train(self)

        monkeypatch.setattr(pack, "train_epoch", train_epoch)

    short_of_memory(PretrainPack, 2)
    short_of_memory(FinetunePack, 4)
    progress = RecordingProgress()
    plan, store, engine, summary = run(both_ways(folder, resources={"pack_size": 8}), tmp_path, progress)
    assert summary.complete
    assert rows(plan, store) == one_by_one
    said = [line for line in progress.said if "ran out of memory" in line]
    assert len(said) == len(set(said)) == 3, "two wide encoders fit"
    assert "Packs of encoders (width 16, 4 channels, batches of 32) ran out of memory: from now on at most 2" in said[0]
    assert sorted(map(len, engine.of("pretrain")))[-2:] == [2, 8], "later packs are small from the start"


@pytest.mark.parametrize(
    ("resources", "each", "together"),
    [
        (ResourcesSpec(), 1, 4),
        (ResourcesSpec(workers=3), 1, 3),
        (ResourcesSpec(workers=9), 1, 4),
        (ResourcesSpec(cpus_per_worker=2), 2, 4),
        (ResourcesSpec(workers=1, cpus_per_worker=8), 8, 8),
    ],
)
def test_threads_of_one_process_take_the_workers_places(resources, each, together, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    before = torch.get_num_threads(), replica_threads()
    with LocalEngine(resources, cache(read_table)):
        assert (torch.get_num_threads(), replica_threads()) == (each, together)
    assert (torch.get_num_threads(), replica_threads()) == before
