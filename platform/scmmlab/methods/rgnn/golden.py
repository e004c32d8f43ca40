"""RGNN against golden vectors: its first graph, its soft labels, its training, and the NodeDAT loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from scmmlab.errors import CorpusError
from scmmlab.methods.contract import InputShape
from scmmlab.methods.electrodes import positions_mm, some_channels
from scmmlab.methods.golden import HINT, GoldenCheck, GoldenFile, relative_error
from scmmlab.methods.gradient_reversal import reversal_strength
from scmmlab.methods.network import Mode, Tensors
from scmmlab.methods.network_golden import TOLERANCE, NetworkScene
from scmmlab.methods.rgnn.emotion_labels import soft_labels
from scmmlab.methods.rgnn.links import initial_adjacency, present_cross_links
from scmmlab.methods.rgnn.network import RgnnNetwork
from scmmlab.methods.rgnn.node_dat import DOMAIN_CLASSIFIER, domain_logits, domain_loss
from scmmlab.methods.rgnn.spec import RgnnSpec
from scmmlab.replica.parameters import Sizes, linear_sizes


class RgnnGolden:
    """Compares RGNN with its golden vectors."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it holds a lower triangle of links, a first graph, or soft labels."""
        return not {"init/adjacency_lower", "positions_mm", "targets_3_classes"}.isdisjoint(file.arrays)

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute what the file holds, and compare."""
        if "positions_mm" in file.arrays:
            return _graph(file)
        if "targets_3_classes" in file.arrays:
            return _labels(file)
        return _training(file, device, pack)


def _graph(file: GoldenFile) -> list[GoldenCheck]:
    names = _texts(file, "channel_names", 1).tolist()
    pairs = [tuple(name.upper() for name in pair) for pair in _texts(file, "pairs", 2).tolist()]
    ours = [(names[left].upper(), names[right].upper()) for left, right in present_cross_links(names, "the file")]
    adjacency = initial_adjacency(names, True, "the file", float(file.setting("delta_cm2")))
    found = {
        "positions": (positions_mm(names, "the file"), "positions_mm"),
        "initial adjacency": (adjacency, "adjacency"),
    }
    checks = [
        GoldenCheck(what, relative_error(torch.from_numpy(array), file.tensor(name, array.shape)), TOLERANCE)
        for what, (array, name) in found.items()
    ]
    return [*checks, GoldenCheck("pairs of electrodes", float(pairs != ours), 0.0)]


def _texts(file: GoldenFile, name: str, dimensions: int) -> np.ndarray:
    found = file.arrays.get(name)
    if found is None or found.dtype.kind != "U" or found.ndim != dimensions:
        raise CorpusError(f"{file.path} must hold texts of {dimensions} dimensions under {name!r}.", HINT)
    file.asked.add(name)
    return found


def _labels(file: GoldenFile) -> list[GoldenCheck]:
    noises = [float(noise) for noise in file.setting("epsilon")]
    checks = []
    for classes in (2, 3, 4):
        name = f"targets_{classes}_classes"
        ours = torch.stack([soft_labels(classes, noise) for noise in noises])
        whole = name in file.arrays and file.arrays[name].dtype.kind == "i"
        golden = file.tensor(name, tuple(ours.shape), integer=whole)
        checks.append(GoldenCheck(f"soft labels, {classes} classes", relative_error(ours, golden), TOLERANCE))
    return checks


class _NodeDat(RgnnNetwork):
    """With the layer of NodeDAT among its tensors."""

    def __init__(self, spec: RgnnSpec, shape: InputShape):
        super().__init__(spec, shape)
        self.hidden = spec.hidden

    def sizes(self) -> Sizes:
        """Name → shape."""
        return super().sizes() | linear_sizes(DOMAIN_CLASSIFIER, self.hidden, 2)


def _training(file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
    node_dat = "x_target" in file.arrays
    spec = RgnnSpec(
        hidden=file.setting("hidden"),
        depth=file.setting("depth"),
        noise=file.setting("epsilon"),
        l1=file.setting("l1"),
        dropout=0.0,
    )
    channels, classes = int(file.setting("channels")), int(file.setting("classes"))
    shape = InputShape(channels, int(file.setting("bands")), classes, some_channels(channels))
    network = (_NodeDat if node_dat else RgnnNetwork)(spec, shape)
    scene = NetworkScene(file, network, {}, device, pack)
    rows_SB, count = scene.rows(), len(file.arrays["y"]) if "y" in file.arrays else 0
    x = file.tensor("x", (count, channels, shape.bands))

    def batch(step: int) -> tuple[Tensor, Tensor]:
        return scene.windows(x[rows_SB[step]], step), scene.labels(rows_SB[step], count, classes)

    place, tensors, (first, label_RB) = scene.place, scene.by_name(), batch(0)
    soft_KK = soft_labels(classes, spec.noise)
    soft_BK = soft_KK[label_RB[place].cpu()]
    checks = [
        scene.compared("soft labels", soft_KK[file.tensor("y", integer=True)], "targets"),
        scene.compared("adjacency", network.adjacency(tensors, first)[place], "adjacency"),
        scene.compared("features of electrodes", network.node_features(tensors, first)[place], "node_features"),
    ]
    found = scene.train(first, label_RB)
    entropy = -torch.special.xlogy(soft_BK, soft_BK).sum(1).mean().to(found.loss)
    checks += [
        scene.compared("logits", found.logits_BK, "logits"),
        scene.compared("soft cross-entropy", found.loss, "loss_soft_cross_entropy"),
        scene.compared("Kullback-Leibler divergence", found.loss - entropy, "loss_kl"),
        scene.compared("sum of links", found.total - found.loss, "loss_l1"),
    ]
    if node_dat:
        return checks + _with_node_dat(scene, network, rows_SB, batch)
    return [
        *checks,
        scene.compared("loss", found.total, "loss"),
        scene.compared_state("gradients", found.gradients, "grad/"),
        scene.compared("gradient of the input", found.x, "grad/x"),
        scene.compared("losses of the trajectory", scene.trajectory(batch), "trajectory_loss"),
        scene.compared_state("state after the trajectory", scene.parameters.replica_state(place), "final/"),
        scene.compared("logits after the trajectory", scene.logits(first), "final_logits"),
    ]


class _Composed(_NodeDat):
    """RGNN with NodeDAT as one network, of windows of the source and then as many of the target."""

    beta = 0.0

    def logits(self, tensors: Tensors, x_RBCF: Tensor, mode: Mode) -> Tensor:
        """Class logits of the source, and beside them the domain logits of all electrodes."""
        half = x_RBCF.shape[1] // 2
        domains_RBC2 = domain_logits(tensors, self.node_features(tensors, x_RBCF), self.beta)
        of_source, of_target = (part.flatten(2) for part in domains_RBC2.split(half, 1))
        return torch.cat((super().logits(tensors, x_RBCF[:, :half], mode), of_source, of_target), -1)

    def loss(self, logits_RBK: Tensor, label_RB: Tensor, real_RB: Tensor) -> Tensor:
        """Sum of the losses of classes and of domains, the latter a mean over the electrodes of both."""
        of_classes, of_source, of_target = self.parts(logits_RBK)
        domains_R = (domain_loss(of_source, 0) + domain_loss(of_target, 1)) / 2
        return super().loss(of_classes, label_RB, real_RB) + domains_R

    def parts(self, logits_RBK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of classes, and of the domains of source and target."""
        electrodes = 2 * self._shape.channels
        of_classes, of_source, of_target = logits_RBK.split([self._shape.classes, electrodes, electrodes], -1)
        return of_classes, of_source.unflatten(-1, (-1, 2)), of_target.unflatten(-1, (-1, 2))


def _with_node_dat(
    scene: NetworkScene,
    plain: RgnnNetwork,
    rows_SB: Tensor,
    batch: Callable[[int], tuple[Tensor, Tensor]],
) -> list[GoldenCheck]:
    file, place = scene.file, scene.place
    network = _Composed(plain._spec, plain._shape)
    beta = float(file.setting("beta"))
    strength = reversal_strength(float(file.setting("progress")))
    scene.network, network.beta = network, strength
    target = file.tensor("x_target", file.arrays["x"].shape)

    def both(step: int) -> tuple[Tensor, Tensor]:
        x, label_RB = batch(step)
        return torch.cat((x, scene.windows(target[rows_SB[step]], 1000 + step)), 1), label_RB

    scene.begin()
    x, label_RB = both(0)
    found = scene.train(x, label_RB)
    _, of_source, of_target = network.parts(found.logits_BK.unsqueeze(0))
    losses = domain_loss(of_source, 0)[0], domain_loss(of_target, 1)[0]
    half = x.shape[1] // 2
    checks = [
        GoldenCheck("strength of the reversal", abs(strength - beta) / max(beta, 1e-300), TOLERANCE),
        scene.compared("domain logits, source", of_source[0], "domain_logits_source"),
        scene.compared("domain logits, target", of_target[0], "domain_logits_target"),
        scene.compared("domain loss, source", losses[0], "loss_domain_source"),
        scene.compared("domain loss, target", losses[1], "loss_domain_target"),
        scene.compared("domain loss", (losses[0] + losses[1]) / 2, "loss_domain"),
        scene.compared("loss", found.total, "loss"),
        scene.compared_state("gradients", found.gradients, "grad/"),
        scene.compared("gradient of the input, source", found.x[:half], "grad/x"),
        scene.compared("gradient of the input, target", found.x[half:], "grad/x_target"),
    ]
    network.beta = 0.0
    checks.append(scene.compared_state("gradients, no reversal", scene.train(x, label_RB).gradients, "grad_beta_0/"))
    network.beta = strength
    checks.append(scene.compared("losses of the trajectory", scene.trajectory(both), "trajectory_loss"))
    checks.append(scene.compared_state("state after the trajectory", scene.parameters.replica_state(place), "final/"))
    last = network.parts(scene.logits(x).unsqueeze(0))[0][0]
    return [*checks, scene.compared("logits after the trajectory", last, "final_logits")]
