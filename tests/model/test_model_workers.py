"""Two workers with half of a batch each give the losses, gradients and parameters of one with the whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from model_packs import experiment, pack, windows

from scmmlab.methods.scmm.augmentation import augmented
from scmmlab.methods.scmm.masking import mask_streams
from scmmlab.methods.scmm.pretraining import BatchViews, pretraining_gradient
from scmmlab.replica.collectives import SINGLE_PROCESS, Collectives, TorchDistributed
from scmmlab.replica.optimizer import Adam

BATCH, STEPS = 12, 4
PACKS = {
    "published": [experiment()],
    "settings": [
        experiment(aggregator__top_k=5, contrast__distance="manhattan"),
        experiment(contrast__distance="euclidean", loss__weighting="fixed"),
        experiment(contrast__weights="hard", aggregator__enabled=False),
        experiment(contrast__enabled=False),
        experiment(reconstruction__enabled=False),
    ],
    "normalisers": [
        experiment(contrast__normaliser="rows", contrast__similarity="cosine"),
        experiment(contrast__normaliser="weight_mass", reconstruction__target="original"),
        experiment(reconstruction__target="original", reconstruction__on="masked"),
    ],
    "copies": [experiment(masking__views=2, masking__originals=False, contrast__normaliser="weight_mass")],
    "mixtures": [experiment(contrast__weights="hard", contrast__normaliser="weight_mass", augmentation__mixup=0.5)],
    "views": [experiment(masking__views=3), experiment(masking__views=3, aggregator__top_k=2)],
}


def pretrain(name: str, group: Collectives) -> dict[str, Any]:
    """States, losses and first gradient after some steps on this worker's part of the batches."""
    experiments = PACKS[name]
    parameters, settings, _ = pack(experiments, overwrite=[r == 1 for r in range(len(experiments))])
    views, share = settings.views, BATCH // group.workers
    own = slice(group.rank * share, (group.rank + 1) * share)
    adam = Adam(parameters.values, [e.pretrain.optimizer for e in experiments])
    rate_R = torch.full((len(experiments),), 1e-3, dtype=torch.float64)
    losses, first = [], None
    for step in range(STEPS):
        x = windows(len(experiments), BATCH, 10 + step)
        keep = windows(len(experiments), BATCH * views, 100 + step) > 0.5
        copies, mixture = augmented(x, mask_streams(torch.tensor([5]), 0, step), settings)
        # copies are the batch, tiled once for each view
        keep = keep.unflatten(1, (views, BATCH))[:, :, own].flatten(1, 2)
        how = BatchViews(None if copies is None else copies[:, own], mixture)
        found, gradient = pretraining_gradient(parameters, x[:, own], keep, settings, group, views=how)
        gradient = group.sum(gradient)
        first = gradient.clone() if first is None else first
        adam.step(parameters.values, gradient, rate_R)
        losses.append(torch.stack(found))
    states = [parameters.replica_state(r) for r in range(len(experiments))]
    return {"losses": torch.stack(losses), "first": first, "states": states}


def work(rank: int, workers: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=workers)
    group = TorchDistributed()
    torch.save({name: pretrain(name, group) for name in PACKS}, f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_give_the_numbers_of_one(workers: int, tmp_path: Path) -> None:
    mp.spawn(work, (workers, str(tmp_path)), nprocs=workers)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(workers)]
    for name in PACKS:
        alone = pretrain(name, SINGLE_PROCESS)
        for rank in range(workers):
            torch.testing.assert_close(found[rank][name], alone, rtol=1e-12, atol=1e-13)
            # the same on all workers, to the last bit: they would drift apart otherwise
            for mine, first in zip(found[rank][name]["states"], found[0][name]["states"], strict=True):
                assert all(torch.equal(tensor, first[key]) for key, tensor in mine.items())


def test_half_a_batch_alone_is_not_half_of_the_whole() -> None:
    """The losses are not a mean over workers: what they exchange matters."""
    parameters, settings, _ = pack([experiment()])
    x, keep = windows(1, BATCH), windows(1, BATCH, 1) > 0.5
    half = BATCH // 2
    whole = pretraining_gradient(parameters, x, keep, settings)[0].total_R
    halves = [
        pretraining_gradient(parameters, x[:, part], keep[:, part], settings)[0].total_R
        for part in (slice(half), slice(half, None))
    ]
    assert abs(whole - (halves[0] + halves[1]) / 2) > 1e-3
