"""Golden files of alignments at any size: written from the equations, with gradients by autograd."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear


def _numbers(seed: int, *shape: int) -> Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (drawn * 1024).round() / 1024


def _rows(seed: int, n: int, m: int, dim: int) -> tuple[Tensor, Tensor]:
    return _numbers(seed, n, dim).requires_grad_(), (1.3 * _numbers(seed + 1, m, dim) + 0.25).requires_grad_()


def _with_gradients(loss: Tensor, source: Tensor, target: Tensor, suffix: str = "") -> dict[str, Tensor]:
    of_source, of_target = torch.autograd.grad(loss, (source, target))
    return {f"loss{suffix}": loss, f"grad_source{suffix}": of_source, f"grad_target{suffix}": of_target}


def mmd_linear(seed: int = 5, n: int = 11, dim: int = 3) -> dict[str, object]:
    source, target = _rows(seed, n, n, dim)
    loss = ((source.mean(0) - target.mean(0)) ** 2).sum()
    return {"config": {}, "source": source, "target": target, **_with_gradients(loss, source, target)}


def mmd_multi_kernel(seed: int = 7, n: int = 9, dim: int = 5) -> dict[str, object]:
    source, target = _rows(seed, n, n, dim)
    x = torch.cat((source, target))

    def kernel_sum(bandwidth: Tensor | float) -> Tensor:
        squares = ((x[:, None] - x) ** 2).sum(-1)
        return sum(torch.exp(-squares / (bandwidth * 2.0**u)) for u in range(-2, 3))

    bandwidth = (((x[:, None] - x) ** 2).sum(-1).sum() / (len(x) * (len(x) - 1))).detach()
    found: dict[str, object] = {"source": source, "target": target, "bandwidth": bandwidth}
    found["kernel_sum"] = kernel_sum(bandwidth)
    for suffix, own in (("", bandwidth), ("_fixed_bandwidth", 4.5)):
        k = kernel_sum(own)
        loss = k[:n, :n].mean() + k[n:, n:].mean() - k[:n, n:].mean() - k[n:, :n].mean()
        found |= _with_gradients(loss, source, target, suffix)
    k, i = kernel_sum(bandwidth), torch.arange(n)
    after = (i + 1) % n
    loss = (k[i, after] + k[n + i, n + after] - k[i, n + after] - k[after, n + i]).mean()
    config = {"kernels": 5, "multiplier": 2.0, "fixed_bandwidth": 4.5}
    return {"config": config, **found, **_with_gradients(loss, source, target, "_linear_time")}


def coral(seed: int = 9, n: int = 8, m: int = 13, dim: int = 4) -> dict[str, object]:
    source, target = _rows(seed, n, m, dim)
    c_source, c_target = torch.cov(source.T), torch.cov(target.T)
    loss = ((c_source - c_target) ** 2).sum() / (4 * dim**2)
    about_features = [(x - x.mean(1, keepdim=True)).T @ (x - x.mean(1, keepdim=True)) for x in (source, target)]
    below_one = [1 / ((len(x) - 1) ** 2 * torch.cov(x.T) + 1e-6) for x in (source, target)]
    return {
        "config": {},
        "source": source,
        "target": target,
        "covariance_source": c_source,
        "covariance_target": c_target,
        "released_ms_mda": ((about_features[0] - about_features[1]) ** 2).mean() / (16 * dim),
        "released_torcheeg": ((below_one[0] - below_one[1]) ** 2).norm() / (4 * dim**2),
        **_with_gradients(loss, source, target),
    }


def dann(seed: int = 3, batch: int = 7, features: int = 6, hidden: int = 5, classes: int = 4) -> dict[str, object]:
    width, alphas = 3, [0.25, 0.0]
    shapes = {
        "encoder.weight": (hidden, features),
        "encoder.bias": (hidden,),
        "classifier.weight": (classes, hidden),
        "classifier.bias": (classes,),
        "domain_0.weight": (width, hidden),
        "domain_0.bias": (width,),
        "domain_1.weight": (2, width),
        "domain_1.bias": (2,),
    }
    init = {name: _numbers(seed + 10 + i, *shape).requires_grad_() for i, (name, shape) in enumerate(shapes.items())}
    x = {
        f"x_{part}": _numbers(seed + i, batch, features).requires_grad_() for i, part in enumerate(("source", "target"))
    }
    y = torch.arange(batch) % classes

    def layer(name: str, given: Tensor) -> Tensor:
        return linear(given, init[f"{name}.weight"], init[f"{name}.bias"])

    encoded = {part: layer("encoder", own).relu() for part, own in x.items()}
    domains = {part: layer("domain_1", layer("domain_0", own).relu()) for part, own in encoded.items()}
    logits = layer("classifier", encoded["x_source"])
    losses = [cross_entropy(own, torch.full((batch,), label)) for label, own in enumerate(domains.values())]
    loss_class, loss_domain = cross_entropy(logits, y), losses[0] + losses[1]
    leaves = init | x
    of_class, of_domain = (
        dict(zip(leaves, torch.autograd.grad(loss, leaves.values(), retain_graph=True, allow_unused=True), strict=True))
        for loss in (loss_class, loss_domain)
    )
    gradients = {}
    for name, leaf in leaves.items():
        one, two = (torch.zeros_like(leaf) if own[name] is None else own[name] for own in (of_class, of_domain))
        # reversed where it has passed the domain classifier
        gradients[f"grad/{name}"] = torch.stack([one + two * (1 if "domain" in name else -alpha) for alpha in alphas])
    progress = torch.tensor([0.0, 0.3, 0.77], dtype=torch.float64)
    names = {"batch": batch, "features": features, "hidden": hidden, "classes": classes, "domain_hidden": width}
    return {
        "config": names | {"alpha": alphas},
        **x,
        "y": y,
        **{f"init/{name}": own for name, own in init.items()},
        "logits": logits,
        "domain_logits_source": domains["x_source"],
        "domain_logits_target": domains["x_target"],
        "loss_class": loss_class,
        "loss_domain": loss_domain,
        "loss": loss_class + loss_domain,
        **gradients,
        "schedule_progress": progress,
        "schedule_alpha": torch.tensor(
            [2 / (1 + math.exp(-10 * p)) - 1 for p in progress.tolist()], dtype=torch.float64
        ),
    }


def written(make: Callable[[], dict[str, object]], path: Path) -> Path:
    """The file of one of the above."""
    arrays = make()
    config = np.array(json.dumps(arrays.pop("config")))
    np.savez(path, config=config, **{name: own.detach().numpy() for name, own in arrays.items()})
    return path
