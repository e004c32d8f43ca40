"""Whether a CUDA graph trains as its kernels do one by one: the same epochs, replayed and launched, side by side."""

from __future__ import annotations

import math

import torch
from torch.utils._pytree import tree_leaves

from scmmlab.benchmarks.steps import TimedSteps, finetuning_epoch, pretraining_epoch
from scmmlab.methods.golden import GoldenCheck, relative_error
from scmmlab.methods.scmm.verification import FORWARD

REPLICAS, EPOCHS, STEPS = 3, 2, 4
"""Of what is compared: a second epoch is replayed without a new capture; few steps, so that rounding does not grow."""


def verify_graphs(device: torch.device | str) -> tuple[list[GoldenCheck], list[str]]:
    """Train packs of three at the published sizes with and without CUDA graphs, and compare what they have become.

    Parameters
    ----------
    device : device or str
        A CUDA device; elsewhere nothing can be captured, and the checks fail.

    Returns
    -------
    checks : list of GoldenCheck
        Of parameters and summed losses; the error is NaN where no graph could be captured.
    reasons : list of str
        Why none could be.
    """
    device = torch.device(device)
    checks, reasons = [], []
    for kind, make in (("pre-training", pretraining_epoch), ("fine-tuning", finetuning_epoch)):
        replayed, launched = (
            make(REPLICAS, device, cuda_graph=cuda_graph, steps=STEPS) for cuda_graph in (True, False)
        )
        found = [] if replayed.no_graph_reason() else _trained(replayed)
        if reason := replayed.no_graph_reason():
            reasons.append(f"{kind}: {reason}")
            error = math.nan
        else:
            errors = [relative_error(one, other) for one, other in zip(found, _trained(launched), strict=True)]
            error = math.nan if any(map(math.isnan, errors)) else max(errors)
        checks.append(GoldenCheck(f"{kind} by a CUDA graph, {EPOCHS * STEPS} steps", error, FORWARD[torch.float32]))
    return checks, reasons


def _trained(workload: TimedSteps) -> list[torch.Tensor]:
    """Figures of each epoch, and the parameters after the last."""
    figures = []
    for _ in range(EPOCHS):
        # of fine-tuning there are two tensors, and the next epoch overwrites them
        figures += [tensor.clone() for tensor in tree_leaves(workload.run())]
    return [*figures, *workload.learned]
