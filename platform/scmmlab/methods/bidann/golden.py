"""BiDANN against golden vectors of LibEER's form of it, corrected and as released, domain discriminators included."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scmmlab.methods.bidann.domains import DISCRIMINATORS, domain_logits, domain_losses
from scmmlab.methods.bidann.hemispheres import hemispheres
from scmmlab.methods.bidann.network import BidannNetwork, head, head_sizes
from scmmlab.methods.bidann.spec import BidannSpec
from scmmlab.methods.contract import InputShape
from scmmlab.methods.golden import GoldenCheck, GoldenFile, relative_error, worst
from scmmlab.methods.network import Mode, Tensors
from scmmlab.methods.network_golden import TOLERANCE, NetworkScene, Pass
from scmmlab.replica.parameters import Sizes

TRAJECTORY = 1e-6
"""A bias before ReLU and batch norm has no gradient where its unit is always on, and Adam blows up its rounding."""
LOSSES = {"left": "left_domain", "right": "right_domain", "global": "global_domain"}
"""Name of a loss in the file → discriminator."""


class BidannGolden:
    """Compares BiDANN with its golden vectors."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has recurrent layers of a hemisphere."""
        return "init/left.lstm_0.weight_ih" in file.arrays

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute what the file holds, and compare."""
        network = _network(file)
        scene = NetworkScene(file, network, {}, device, pack)
        shape = (int(file.setting("batch")), network.time_steps or 1, int(file.setting("channels")))
        x_source, x_target = (file.tensor(f"x_{part}", (*shape, int(file.setting("bands")))) for part in DOMAINS)
        windows = torch.cat((scene.windows(x_source), scene.windows(x_target, 1)), 1)
        label_RB = scene.labels(torch.arange(shape[0]), shape[0], network.classes)
        channels = file.setting("channel_names")
        ours = [[channels[place] for place in side] for side in hemispheres(channels)]
        wrong = ours != [file.setting("left_channels"), file.setting("right_channels")]
        checks = [GoldenCheck("hemispheres", float(wrong), 0.0)]
        for side in ("left", "right"):
            sequence = network.sequences(side, windows[:, : shape[0]])[scene.place, 0]
            checks.append(scene.compared(f"sequence, {side}", sequence, f"{side}_sequence"))
        checks += _outputs(scene, network, "eval", scene.evaluate(windows, label_RB))
        found = scene.train(windows, label_RB)
        checks += _outputs(scene, network, "train", found)
        checks.append(scene.compared_state("gradients", found.gradients, "train/grad/"))
        if "train/grad/x_source" in file.arrays:
            for part, gradient in zip(DOMAINS, found.x.split(shape[0]), strict=True):
                checks.append(scene.compared(f"gradient of the input, {part}", gradient, f"train/grad/x_{part}"))
        checks.append(_running_statistics(scene))
        if "trajectory_loss" in file.arrays:
            losses = scene.trajectory(lambda _: (windows, label_RB))
            final = scene.parameters.replica_state(scene.place)
            last = network.parts(scene.logits(windows))["logits"]
            checks += [
                scene.compared("losses of the trajectory", losses, "trajectory_loss", TRAJECTORY),
                scene.compared_state("state after the trajectory", final, "final/", TRAJECTORY),
                scene.compared("logits after the trajectory", last, "final_logits_eval", TRAJECTORY),
            ]
        return checks


DOMAINS = ("source", "target")


class _Composed(BidannNetwork):
    """BiDANN with its discriminators as one network, of windows of the source and then as many of the target."""

    def __init__(self, spec: BidannSpec, shape: InputShape, strength: float, local: list[int], both: list[int]):
        super().__init__(spec, shape)
        self.classes, self._strength = shape.classes, strength
        self._widths = dict(zip(DISCRIMINATORS, (local, local, both), strict=True))

    def sizes(self) -> Sizes:
        """Name → shape."""
        sizes = super().sizes()
        for name, widths in self._widths.items():
            sizes |= head_sizes(name, *widths)
        return sizes

    def logits(self, tensors: Tensors, x_RBTCF: Tensor, mode: Mode) -> Tensor:
        """Class logits of the source, and beside them those of each discriminator for source and for target."""
        source, target = (self.extracted(tensors, part, mode) for part in x_RBTCF.chunk(2, 1))
        of_classes = head(tensors, "classifier", torch.cat(source, -1), mode)
        of_domains = domain_logits(tensors, source, target, self._strength, mode)
        return torch.cat([of_classes, *(part for x in of_domains.values() for part in x.chunk(2, 1))], -1)

    def parts(self, logits: Tensor) -> dict[str, Tensor]:
        """Logits [..., B, K] of the classes, and [..., 2B, 2] of each discriminator, by their names in the file."""
        of_classes, *of_domains = logits.split([self.classes, *[4] * len(DISCRIMINATORS)], -1)
        parts = {"logits": of_classes}
        for name, both in zip(DISCRIMINATORS, of_domains, strict=True):
            parts[name] = torch.cat(both.chunk(2, -1), -2)
        return parts

    def loss(self, logits_RBK: Tensor, label_RB: Tensor, real_RB: Tensor) -> Tensor:
        """Sum of the losses of classes and of discriminators."""
        parts = self.parts(logits_RBK)
        loss_R = super().loss(parts.pop("logits"), label_RB, real_RB)
        for own in domain_losses(parts).values():
            loss_R = loss_R + own
        return loss_R


class _AsReleased(_Composed):
    """With the released code's right hemisphere: its block is read band by band, and cut into as many steps."""

    def sequences(self, side: str, x_RBTCF: Tensor) -> Tensor:
        """What a recurrent network gets."""
        right_RBTI = super().sequences(side, x_RBTCF)
        if side == "left":
            return right_RBTI
        replicas, windows, steps, inputs = right_RBTI.shape
        blocks_RBTCF = right_RBTI.view(replicas, windows, steps, -1, self._shape.bands)
        return blocks_RBTCF.permute(0, 1, 4, 2, 3).reshape(replicas, windows, steps, inputs)


def _network(file: GoldenFile) -> _Composed:
    heads: Mapping[str, list[int]] = file.setting("head_sizes")
    _, dense, dense_last, classes = heads["classifier"]
    spec = BidannSpec(
        time_steps=file.setting("time_steps"),
        hidden=file.setting("lstm_hidden"),
        time_slots=file.setting("time_slots"),
        dense=dense,
        dense_last=dense_last,
        dropout=0.0,
    )
    names = tuple(file.setting("channel_names"))
    shape = InputShape(len(names), int(file.setting("bands")), classes, names)
    corrected = str(file.setting("numbers")).startswith("CORRECTED")
    made = _Composed if corrected else _AsReleased
    return made(spec, shape, float(file.setting("lambda_reversal")), heads["local"], heads["global"])


def _outputs(scene: NetworkScene, network: _Composed, mode: str, found: Pass) -> list[GoldenCheck]:
    parts = network.parts(found.logits_BK)
    checks = [scene.compared(f"logits, {mode}", parts.pop("logits"), f"{mode}/logits")]
    checks += [scene.compared(f"{name} logits, {mode}", own, f"{mode}/{name}_logits") for name, own in parts.items()]
    losses = domain_losses({name: own.unsqueeze(0) for name, own in parts.items()})
    named = {name: losses[discriminator][0] for name, discriminator in LOSSES.items()}
    named["class"] = found.loss - sum(named.values())
    checks += [scene.compared(f"loss, {name}, {mode}", own, f"{mode}/loss_{name}") for name, own in named.items()]
    return [*checks, scene.compared(f"loss, {mode}", found.loss, f"{mode}/loss")]


def _running_statistics(scene: NetworkScene) -> GoldenCheck:
    state = scene.parameters.replica_state(scene.place)
    errors = {}
    for name in (name for name in state if "running" in name):
        golden = scene.file.tensor(f"after_one_train_pass/{name}", tuple(state[name].shape))
        errors[name] = relative_error(state[name], golden)
    return worst("running statistics after a pass", errors, TOLERANCE)
