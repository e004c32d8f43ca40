"""Alignments against golden vectors: losses and gradients in float64, alone or amid a pack of seven.

| symbol | meaning |
|---|---|
| R | replicas; all but the file's have numbers of their own |
| D | numbers of a feature vector |
| B, I, H, K | windows, inputs, encoder's outputs and classes of the network of the file of `dann` |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from scmmlab.errors import CorpusError
from scmmlab.methods.deep_alignment.alignment import Alignment, Pull
from scmmlab.methods.deep_alignment.coral import Coral, covariance
from scmmlab.methods.deep_alignment.domain_head import DomainHead
from scmmlab.methods.deep_alignment.kernel_mmd import WIDTHS, KernelMmd, kernels, mean_distance, squared_distances
from scmmlab.methods.deep_alignment.linear_mmd import LinearMmd
from scmmlab.methods.golden import HINT, PACK, PLACE, GoldenCheck, GoldenFile, relative_error, worst
from scmmlab.methods.gradient_reversal import reversal_strength
from scmmlab.replica.cross_entropy import cross_entropy
from scmmlab.replica.parameters import Parameters, Sizes, linear_sizes
from scmmlab.replica.random import uniform

TOLERANCE = 1e-12
"""Of everything of ours, in float64."""
RELEASED = 1e-8
"""Of wrong values: the reciprocal of a number near 0 blows up its rounding."""


class _Scene:
    """Where a file is computed."""

    def __init__(self, file: GoldenFile, device: torch.device, pack: bool):
        self.file, self.device = file, device
        replicas, self.place = (PACK, PLACE) if pack else (1, 0)
        self.seed_R = torch.arange(replicas, device=device) + 20

    def placed(self, own: Tensor, name: str) -> Tensor:
        """The file's numbers in its place, random ones in the others."""
        drawn = uniform(self.seed_R, f"verification {name}", 0, 0, own.numel()).double().view(-1, *own.shape)
        drawn[self.place] = own.to(self.device)
        return drawn

    def features(self) -> tuple[Tensor, Tensor]:
        """Rows of source and target, [R, D, N] and [R, D, M]."""
        source, target = (self.file.tensor(name) for name in ("source", "target"))
        if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:
            raise CorpusError(
                f"'source' and 'target' of {self.file.path} must be rows of equally many numbers, found shapes "
                f"{tuple(source.shape)} and {tuple(target.shape)}.",
                HINT,
            )
        return self.placed(source.T, "source"), self.placed(target.T, "target")

    def compared(self, quantity: str, ours_R: Tensor, name: str, tolerance: float = TOLERANCE) -> GoldenCheck:
        """One array of the file against that of our replica."""
        ours = ours_R[self.place]
        return GoldenCheck(quantity, relative_error(ours, self.file.tensor(name, tuple(ours.shape))), tolerance)

    def pull(self, alignment: Alignment) -> Pull:
        """What an alignment says of the file's rows."""
        source_RDN, target_RDM = self.features()
        return alignment(source_RDN, target_RDM, _all(source_RDN), _all(target_RDM))

    def of_pull(self, what: str, found: Pull, suffix: str = "") -> list[GoldenCheck]:
        """Loss and gradients against the file's."""
        return [
            self.compared(f"{what}, loss", found.loss_R, f"loss{suffix}"),
            self.compared(f"{what}, gradient of the source", found.source_RDN.mT, f"grad_source{suffix}"),
            self.compared(f"{what}, gradient of the target", found.target_RDM.mT, f"grad_target{suffix}"),
        ]


def _all(x_RDN: Tensor) -> Tensor:
    return torch.ones(len(x_RDN), x_RDN.shape[2], dtype=torch.bool, device=x_RDN.device)


class LinearMmdGolden:
    """Compares the distance of means with its golden vectors."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has gradients of features, and nothing of kernels or covariances."""
        return "grad_source" in file.arrays and {"kernel_sum", "covariance_source"}.isdisjoint(file.arrays)

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute what the file holds, and compare."""
        scene = _Scene(file, device, pack)
        return scene.of_pull("linear MMD", scene.pull(LinearMmd()))


class KernelMmdGolden:
    """Compares the discrepancy by kernels with its golden vectors."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has a sum of kernels."""
        return "kernel_sum" in file.arrays

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute what the file holds, and compare."""
        count, factor = int(file.setting("kernels")), float(file.setting("multiplier"))
        if tuple(factor ** (number - count // 2) for number in range(count)) != WIDTHS:
            raise CorpusError(
                f"The kernels of {file.path} must have the widths {WIDTHS}, found {count} with multiplier {factor}.",
                HINT,
            )
        scene = _Scene(file, device, pack)
        f_RDJ = torch.cat(scene.features(), 2)
        real_R1J = _all(f_RDJ).unsqueeze(1).double()
        distance_RJJ = squared_distances(f_RDJ, real_R1J)
        bandwidth_R11 = mean_distance(distance_RJJ, real_R1J)
        fixed = float(file.setting("fixed_bandwidth"))
        return [
            scene.compared("bandwidth", bandwidth_R11.flatten(), "bandwidth"),
            scene.compared("sum of kernels", kernels(distance_RJJ, bandwidth_R11)[0], "kernel_sum"),
            *scene.of_pull("all pairs", scene.pull(KernelMmd())),
            *scene.of_pull("fixed bandwidth", scene.pull(KernelMmd(bandwidth=fixed)), "_fixed_bandwidth"),
            *scene.of_pull("consecutive pairs", scene.pull(KernelMmd(pairs="consecutive")), "_linear_time"),
        ]


class CoralGolden:
    """Compares the distance of covariances with its golden vectors, which also hold the wrong ones of two codes."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has covariances."""
        return "covariance_source" in file.arrays

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute what the file holds, and compare; what two codes release must be what ours is not."""
        scene = _Scene(file, device, pack)
        found, rows = scene.pull(Coral()), scene.features()
        checks = scene.of_pull("CORAL", found)
        for part, x_RDN in zip(("source", "target"), rows, strict=True):
            ours = covariance(x_RDN, _all(x_RDN))[0]
            checks.append(scene.compared(f"covariance of the {part}", ours, f"covariance_{part}"))
        for name, form in (("ms_mda", _as_in_ms_mda), ("torcheeg", _as_in_torcheeg)):
            wrong_R = form(*rows)
            near = relative_error(found.loss_R[scene.place], wrong_R[scene.place]) < 1e-6
            checks += [
                scene.compared(f"what {name} releases", wrong_R, f"released_{name}", RELEASED),
                GoldenCheck(f"ours is not what {name} releases", float(near), 0.0),
            ]
        return checks


def _scatter(x_RDN: Tensor, axis: int) -> Tensor:
    centred_RDN = x_RDN - x_RDN.mean(axis, keepdim=True)
    return centred_RDN @ centred_RDN.mT


def _as_in_ms_mda(source_RDN: Tensor, target_RDM: Tensor) -> Tensor:
    """Wrong: each row is centred about the mean of its own features, without 1/(n − 1), and means stand for sums."""
    apart_RDD = _scatter(source_RDN, 1) - _scatter(target_RDM, 1)
    return apart_RDD.square().mean((1, 2)) / (4 * source_RDN.shape[1] * 4)


def _as_in_torcheeg(source_RDN: Tensor, target_RDM: Tensor) -> Tensor:
    """Wrong: each entry of the scatter is put below 1, and the norm is taken of squares."""
    parts = (1 / ((x.shape[2] - 1) * _scatter(x, 2) + 1e-6) for x in (source_RDN, target_RDM))
    source_RDD, target_RDD = parts
    # ‖(difference)²‖_F = √Σ (difference)⁴
    return (source_RDD - target_RDD).pow(4).sum((1, 2)).sqrt() / (4 * source_RDN.shape[1] ** 2)


class DannGolden:
    """Compares the domain classifier behind gradient reversal with its golden vectors, on a network of two layers."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has a schedule of the reversal."""
        return "schedule_alpha" in file.arrays

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute what the file holds, and compare."""
        scene, network = _Scene(file, device, pack), _DannNetwork(file, device, pack)
        progress = file.tensor("schedule_progress", file.arrays["schedule_alpha"].shape)
        ours = torch.tensor([reversal_strength(own) for own in progress.flatten().tolist()], dtype=torch.float64)
        schedule = file.tensor("schedule_alpha", tuple(progress.shape))
        checks = [GoldenCheck("schedule", relative_error(ours.view_as(progress), schedule), TOLERANCE)]
        strengths = [float(own) for own in file.setting("alpha")]
        passes = [network.gradients(strength) for strength in strengths]
        checks += [scene.compared(name.replace("_", " "), own_R, name) for name, own_R in network.outputs().items()]
        of_each = {name: torch.stack([found[name][scene.place] for found in passes]) for name in passes[0]}
        errors = {
            name: [
                relative_error(*pair) for pair in zip(own, file.tensor(f"grad/{name}", tuple(own.shape)), strict=True)
            ]
            for name, own in of_each.items()
        }
        for number, strength in enumerate(strengths):
            own = {name: found[number] for name, found in errors.items()}
            checks.append(worst(f"gradients, α = {strength:g}", own, TOLERANCE))
        return checks


class _DannNetwork:
    """f = ReLU(W_e x + b_e), logits W_c f + b_c, and the domain classifier of f."""

    def __init__(self, file: GoldenFile, device: torch.device, pack: bool):
        names = ("batch", "features", "hidden", "classes", "domain_hidden")
        batch, inputs, hidden, classes, width = (int(file.setting(name)) for name in names)
        scene = _Scene(file, device, pack)
        self._head = DomainHead(width, dropout=0.0)
        sizes = linear_sizes("encoder", inputs, hidden) | linear_sizes("classifier", hidden, classes)
        self._layers = self._loaded(scene, sizes)
        self._learned = self._loaded(scene, self._head.sizes(hidden))
        self._x = [scene.placed(file.tensor(f"x_{part}", (batch, inputs)).T, part) for part in ("source", "target")]
        y = file.tensor("y", (batch,), integer=True)
        if y.min() < 0 or y.max() >= classes:
            raise CorpusError(f"Labels 'y' of {file.path} must lie in 0 … {classes - 1}.", HINT)
        self._label_RB = y.to(device).expand(len(scene.seed_R), -1)
        self._features = [
            torch.baddbmm(self._layers["encoder.bias"].unsqueeze(-1), self._layers["encoder.weight"], x).relu()
            for x in self._x
        ]
        self._real_RB = _all(self._x[0])
        self._logits_RKB = torch.baddbmm(
            self._layers["classifier.bias"].unsqueeze(-1), self._layers["classifier.weight"], self._features[0]
        )

    @staticmethod
    def _loaded(scene: _Scene, sizes: Sizes) -> Parameters:
        parameters = Parameters(sizes, len(scene.seed_R), scene.device, torch.float64)
        for name, size in sizes.items():
            parameters[name].copy_(scene.placed(scene.file.tensor(f"init/{name}", size), name))
        return parameters

    def outputs(self) -> Mapping[str, Tensor]:
        """Logits and losses, by the file's names."""
        loss_R, _ = cross_entropy(self._logits_RKB, self._label_RB, self._real_RB)
        domain_R = self._pull().loss_R
        found = {
            "logits": self._logits_RKB.mT,
            "loss_class": loss_R,
            "loss_domain": domain_R,
            "loss": loss_R + domain_R,
        }
        for part, f_RHB in zip(("source", "target"), self._features, strict=True):
            scale = f_RHB.new_ones(len(f_RHB), self._learned["domain_0.bias"].shape[1], f_RHB.shape[2])
            found[f"domain_logits_{part}"] = self._head.logits(self._learned, f_RHB, scale)[0].mT
        return found

    def gradients(self, strength: float) -> dict[str, Tensor]:
        """Gradients of all layers and inputs, with this strength of the reversal."""
        _, grad_RKB = cross_entropy(self._logits_RKB, self._label_RB, self._real_RB)
        pull = self._pull()
        weight_e, weight_c = self._layers["encoder.weight"], self._layers["classifier.weight"]
        of_features = weight_c.mT @ grad_RKB + strength * pull.source_RDN, strength * pull.target_RDM
        upstream = [grad * (f > 0) for grad, f in zip(of_features, self._features, strict=True)]
        found = {
            "encoder.weight": _sum([da @ x.mT for da, x in zip(upstream, self._x, strict=True)]),
            "encoder.bias": _sum([da.sum(-1) for da in upstream]),
            "classifier.weight": grad_RKB @ self._features[0].mT,
            "classifier.bias": grad_RKB.sum(-1),
            "x_source": (weight_e.mT @ upstream[0]).mT,
            "x_target": (weight_e.mT @ upstream[1]).mT,
        }
        return found | {name: gradient.clone() for name, gradient in self._learned.gradients.items()}

    def _pull(self) -> Pull:
        source, target = self._features
        return self._head(source, target, self._real_RB, self._real_RB, self._learned)


def _sum(parts: Sequence[Tensor]) -> Tensor:
    first, second = parts
    return first + second
