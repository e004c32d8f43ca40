"""DGCNN against golden vectors of LibEER's and torcheeg's forms of it (tests/golden/README.md)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scmmlab.methods.contract import InputShape
from scmmlab.methods.dgcnn.network import DgcnnNetwork
from scmmlab.methods.dgcnn.spec import DgcnnSpec
from scmmlab.methods.golden import GoldenCheck, GoldenFile
from scmmlab.methods.network import Tensors, network_logits
from scmmlab.methods.network_golden import NetworkScene


class DgcnnGolden:
    """Compares DGCNN with its golden vectors."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has filters of a graph convolution."""
        return "init/theta_0" in file.arrays

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute what the file holds, and compare."""
        spec, shape = _settings(file)
        names = {"theta": [f"theta_{term}" for term in range(spec.order)]}
        scene = NetworkScene(file, DgcnnNetwork(spec, shape), names, device, pack)
        rows_SB = scene.rows()
        count = len(file.arrays["y"]) if "y" in file.arrays else 0
        x = file.tensor("x", (count, shape.channels, shape.bands))

        def batch(step: int) -> tuple[Tensor, Tensor]:
            return scene.windows(x[rows_SB[step]], step), scene.labels(rows_SB[step], count, shape.classes)

        checks = _released_order(scene, spec, shape, batch(0)[0])
        checks += (_torcheeg if spec.band_norm else _libeer)(scene, *batch(0))
        checks.append(scene.compared("losses of the trajectory", scene.trajectory(batch), "trajectory_loss"))
        final = scene.parameters.replica_state(scene.place)
        checks.append(scene.compared_state("state after the trajectory", final, "final/"))
        last = "final_logits_eval" if spec.band_norm else "final_logits"
        checks.append(scene.compared("logits after the trajectory", scene.logits(batch(0)[0]), last))
        return checks


def _settings(file: GoldenFile) -> tuple[DgcnnSpec, InputShape]:
    torcheeg = "propagation" in file.config
    form: dict[str, Any] = {"laplacian": "torcheeg", "band_norm": True, "hidden_bias": False, "sparse_l2": 0.0}
    if not torcheeg:
        form = {"laplacian": "libeer", "nonlinearity": "none", "sparse_l2": file.setting("sparse_l2")}
    sizes = {name: file.setting(name) for name in ("order", "hidden", "dense")}
    shape = InputShape(file.setting("channels"), file.setting("bands"), file.setting("classes"))
    return DgcnnSpec(dropout=0.0, **sizes, **form), shape


def _libeer(scene: NetworkScene, x: Tensor, label_RB: Tensor) -> list[GoldenCheck]:
    network = scene.network
    assert isinstance(network, DgcnnNetwork)
    tensors, place = scene.by_name(), scene.place
    hidden = (network.filtered(tensors, x) + tensors["hidden_bias"][:, None, None]).relu()
    found = scene.train(x, label_RB)
    return [
        scene.compared("Laplacian", network.matrix(tensors, x)[place], "laplacian"),
        scene.compared("features of electrodes", hidden[place], "hidden"),
        scene.compared("logits", found.logits_BK, "logits"),
        scene.compared("cross-entropy", found.loss, "loss_cross_entropy"),
        scene.compared("sum of norms", found.total - found.loss, "loss_sparse_l2"),
        scene.compared("loss", found.total, "loss"),
        scene.compared_state("gradients", found.gradients, "grad/"),
        scene.compared("gradient of the input", found.x, "grad/x"),
    ]


def _torcheeg(scene: NetworkScene, x: Tensor, label_RB: Tensor) -> list[GoldenCheck]:
    network = scene.network
    assert isinstance(network, DgcnnNetwork)
    propagation = network.matrix(scene.by_name(), x)[scene.place]
    checks = [scene.compared("normalised adjacency", propagation, "propagation")]
    for mode, found in (("eval", scene.evaluate(x, label_RB)), ("train", scene.train(x, label_RB))):
        checks += [
            scene.compared(f"logits, {mode}", found.logits_BK, f"{mode}/logits"),
            scene.compared(f"loss, {mode}", found.loss, f"{mode}/loss"),
            scene.compared_state(f"gradients, {mode}", found.gradients, f"{mode}/grad/"),
            scene.compared(f"gradient of the input, {mode}", found.x, f"{mode}/grad/x"),
        ]
    return checks


class _AsReleased(DgcnnNetwork):
    """LibEER's terms for more than two: x, x, M x, …, so the first twice and the last never."""

    def polynomial(self, tensors: Tensors, x_RCN: Tensor) -> list[Tensor]:
        """The terms."""
        terms = super().polynomial(tensors, x_RCN)
        return [terms[0], *terms[:-1]]


def _released_order(scene: NetworkScene, spec: DgcnnSpec, shape: InputShape, x: Tensor) -> list[GoldenCheck]:
    if "logits_as_released" not in scene.file.arrays:
        return []
    logits = network_logits(_AsReleased(spec, shape), scene.parameters, x)[scene.place]
    return [scene.compared("logits with the released code's terms", logits, "logits_as_released")]
