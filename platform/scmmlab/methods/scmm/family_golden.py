"""The losses that SCMM's settings make, against golden vectors of public implementations (tests/golden/README.md).

Each loss is computed by what trains with it: weights, comparison, errors, and the sum with learned weights.

| symbol | meaning |
|---|---|
| R | replicas; all but the file's have numbers and settings of their own |
| B, N, D | windows of a batch, rows, width of a projection |
| T | time steps of a series |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from scmmlab.errors import CorpusError
from scmmlab.methods.golden import HINT, PACK, PLACE, GoldenCheck, GoldenFile, read_file, relative_error
from scmmlab.methods.scmm.adaptive_weights import weigh
from scmmlab.methods.scmm.augmentation import Mixture, mixed
from scmmlab.methods.scmm.comparison import compare, comparison_backward
from scmmlab.methods.scmm.contrast import mixture_weights
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.reconstruction import (
    count_values,
    counted_values,
    decode,
    decode_backward,
    mean_error,
    squared_error,
    targets,
)
from scmmlab.methods.scmm.soft_weights import (
    WindowTimes,
    distances,
    mark_views,
    weights_in_time,
    weights_of_distances,
)
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.collectives import SINGLE_PROCESS
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.random import uniform

TOLERANCE = 1e-12


class _Scene:
    """Where a file is computed: alone, or amid a pack of other numbers and settings."""

    def __init__(self, file: GoldenFile, device: torch.device, pack: bool):
        self.file, self.device = file, device
        self.replicas, self.place = (PACK, PLACE) if pack else (1, 0)
        self._seed_R = torch.arange(self.replicas, device=device) + 20

    def tensor(self, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
        """The file's array, on the device."""
        return self.file.tensor(name, shape).to(self.device)

    def spread(self, own: Tensor, purpose: str = "family") -> Tensor:
        """A tensor of the file in its place, random numbers of its kind in the others."""
        drawn = uniform(self._seed_R, purpose, 0, 0, own.numel()).to(self.device, torch.float64)
        spread = drawn.view(-1, *own.shape)
        if not own.is_floating_point():
            return own.expand(self.replicas, *own.shape).clone()
        spread[self.place] = own.to(self.device)
        return spread

    def settings(self, **groups: Mapping[str, Any]) -> PackSettings:
        """Those of the file in its place, others in the others."""
        contrast = dict(groups.get("contrast", {}))
        experiments = []
        for r in range(self.replicas):
            own = contrast
            if r != self.place:
                normaliser, similarity = ("pairs", "rows", "weight_mass")[r % 3], ("dot", "cosine")[r % 2]
                own = contrast | {"normaliser": normaliser, "similarity": similarity, "temperature": 0.3 + 0.1 * r}
            experiments.append(ScmmSpec.model_validate({**groups, "contrast": own}))
        return PackSettings.stack(experiments, [False] * self.replicas, self.device, torch.float64)

    def compared(self, quantity: str, ours: Tensor, golden: Tensor) -> GoldenCheck:
        """What we found in the file's place against the file."""
        return GoldenCheck(quantity, relative_error(ours[self.place], golden), TOLERANCE)

    def contrast(self, z_RND: Tensor, w_RNN: Tensor, settings: PackSettings, hidden: int = 0) -> tuple[Tensor, Tensor]:
        """The contrastive loss [R] of rows, and its gradient [R, N, D]."""
        found = compare(z_RND.transpose(1, 2), w_RNN, settings, hidden_copies=hidden)
        d_z = comparison_backward(found, None, torch.ones_like(found.contrast_R), settings)
        return found.contrast_R, d_z.transpose(1, 2)

    def views_alone(self, rows: int, rows_per_window: int) -> Tensor:
        """Weights that are 1 for views of one window and 0 for the rest, [R, N, N]."""
        w = torch.zeros(self.replicas, rows, rows, dtype=torch.float64, device=self.device)
        mark_views(w, rows // rows_per_window, rows_per_window, 0)
        return w


def _size(file: GoldenFile, name: str) -> int:
    value = file.setting(name)
    if not isinstance(value, int) or value < 1:
        raise CorpusError(f"The setting {name!r} of {file.path} must be a positive number, found {value!r}.", HINT)
    return value


def _spec_of(file: GoldenFile, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that are taken from the file."""
    try:
        ScmmSpec.model_validate({"contrast": settings})
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise CorpusError(f"The settings of {file.path} cannot be used: {reason}.", HINT) from None
    return dict(settings)


TWO_COPIES = {"views": 2, "originals": False}


class NtXentGolden:
    """Compares SimCLR's loss."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has losses of two views by similarity and temperature."""
        return {"z_1", "z_2", "grad_z_1", "grad_z_2"} <= file.arrays.keys() and isinstance(
            file.config.get("similarity"), list
        )

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute each loss, and compare."""
        scene = _Scene(file, device, pack)
        size = _size(file, "windows"), _size(file, "dim")
        z_RND = scene.spread(torch.cat([file.tensor(name, size) for name in ("z_1", "z_2")]))
        similarities, temperatures = file.setting("similarity"), file.setting("temperature")
        axes = len(similarities), len(temperatures)
        golden, grad_1, grad_2 = (
            file.tensor(name, shape)
            for name, shape in (("loss", axes), ("grad_z_1", (*axes, *size)), ("grad_z_2", (*axes, *size)))
        )
        checks = []
        w = scene.views_alone(z_RND.shape[1], 2)
        for i, similarity in enumerate(similarities):
            for j, temperature in enumerate(temperatures):
                what = f"{similarity}, temperature {temperature}"
                contrast = {"weights": "hard", "similarity": similarity, "temperature": temperature}
                settings = scene.settings(
                    masking=TWO_COPIES, contrast=_spec_of(file, contrast | {"normaliser": "rows"})
                )
                loss_R, d_z = scene.contrast(z_RND, w, settings)
                checks += [
                    scene.compared(f"loss, {what}", loss_R, golden[i, j]),
                    scene.compared(f"gradient, {what}", d_z, torch.cat((grad_1[i, j], grad_2[i, j]))),
                ]
        return checks


class MaskedReconstructionGolden:
    """Compares the error of reconstructions: of masked values or all, against the window or the row itself."""

    KINDS = (("masked", "original", "masked"), ("all", "original", "all"), ("self", "self", "all"))
    """Name in the file → target, and what counts."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has an error of masked values."""
        return "grad_masked" in file.arrays

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute each error, and compare."""
        scene = _Scene(file, device, pack)
        windows, views, channels, bands = (_size(file, name) for name in ("windows", "views", "channels", "bands"))
        rows, numbers = windows * views, channels * bands
        x = scene.spread(file.tensor("x", (windows, channels, bands)))
        keep = file.tensor("keep", (rows, channels, bands), integer=True).bool().to(device)
        keep = keep.expand(scene.replicas, *keep.shape)
        rebuilt = scene.spread(file.tensor("reconstruction", (rows, numbers)), "reconstruction")
        x_RNF = (x.repeat(1, views, 1, 1) * keep).flatten(2)
        checks = []
        for name, target, on in self.KINDS:
            settings = scene.settings(
                masking={"views": views, "originals": False}, reconstruction={"target": target, "on": on}
            )
            counted = counted_values(keep, settings)
            squared, error = squared_error(rebuilt.clone(), targets(x, x_RNF, settings), counted)
            everything, count_R = rows * numbers, count_values(counted)
            loss_R = mean_error(squared, everything, count_R, settings)
            slope_R = mean_error(torch.ones_like(loss_R), everything, count_R, settings, times=2)
            gradient = error * slope_R[:, None, None]
            checks += [
                scene.compared(f"error, {name}", loss_R, file.tensor(f"loss_{name}", ())),
                scene.compared(f"gradient, {name}", gradient, file.tensor(f"grad_{name}", (rows, numbers))),
            ]
        return checks


class MixupGolden:
    """Compares the loss of mixtures, through a small encoder of the file's."""

    LAYERS = ("encoder_0", "encoder_1")

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has mixtures."""
        return "x_mixed" in file.arrays

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute loss and gradients, and compare."""
        scene = _Scene(file, device, pack)
        windows, features, width = (_size(file, name) for name in ("windows", "features", "dim"))
        partner = file.tensor("permutation", (windows,), integer=True).to(device)
        if sorted(partner.tolist()) != list(range(windows)):
            raise CorpusError(f"'permutation' of {file.path} must be an order of 0 … {windows - 1}.", HINT)
        share_R = torch.full((scene.replicas,), float(file.setting("lambda")), dtype=torch.float64, device=device)
        mixture = Mixture(share_R, partner.expand(scene.replicas, -1))
        leaves = {
            name: scene.tensor(name).requires_grad_()
            for name in ("x", *(f"init/{layer}.{kind}" for layer in self.LAYERS for kind in ("weight", "bias")))
        }
        x = leaves["x"]
        x_mixed = mixed(x.expand(scene.replicas, *x.shape).unsqueeze(3), mixture)[scene.place, ..., 0]
        z_1, z_mixed = self._encoded(leaves, x), self._encoded(leaves, x_mixed)
        z = torch.cat((z_1, z_mixed))
        settings = scene.settings(
            masking={"mode": "none"},
            augmentation={"mixup": 1.0},
            contrast={
                "weights": "hard",
                "normaliser": "weight_mass",
                "similarity": "cosine",
                "temperature": file.setting("temperature"),
            },
        )
        w = mixture_weights(mixture, windows, SINGLE_PROCESS)
        loss_R, d_z = scene.contrast(scene.spread(z.detach()), w, settings, windows)
        d_1, d_mixed = d_z[scene.place].split(windows)
        gradients = torch.autograd.grad(z, list(leaves.values()), d_z[scene.place])
        # each window stands twice among their columns, as itself and as a partner, and once among ours
        golden_1 = file.tensor("grad/z_1", (windows, width)).clone()
        golden_1.index_add_(0, partner.cpu(), file.tensor("grad/z_2", (windows, width)))
        pairs = {
            "mixtures": (x_mixed, file.tensor("x_mixed", (windows, features))),
            "projections of windows": (z_1, file.tensor("z_1", (windows, width))),
            "projections of partners": (z_1[partner], file.tensor("z_2", (windows, width))),
            "projections of mixtures": (z_mixed, file.tensor("z_mixed", (windows, width))),
            "loss": (loss_R[scene.place] + math.log(2), file.tensor("loss", ())),
            "gradient of windows' projections": (d_1, golden_1),
            "gradient of mixtures' projections": (d_mixed, file.tensor("grad/z_mixed", (windows, width))),
        }
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
            name = name.removeprefix("init/")
            pairs[f"gradient of {name}"] = gradient, file.tensor(f"grad/{name}", tuple(leaf.shape))
        return [GoldenCheck(what, relative_error(*pair), TOLERANCE) for what, pair in pairs.items()]

    def _encoded(self, leaves: Mapping[str, Tensor], x: Tensor) -> Tensor:
        first, second = ((leaves[f"init/{layer}.weight"], leaves[f"init/{layer}.bias"]) for layer in self.LAYERS)
        return (x @ first[0].T + first[1]).relu() @ second[0].T + second[1]


class SimMtmGolden:
    """Compares SimMTM's losses, its aggregation, and their sum with learned weights."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has weights of an aggregation, and which rows are positives."""
        return {"aggregation_weights", "positives", "loss_scale"} <= file.arrays.keys()

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute what the file holds, and compare."""
        scene = _Scene(file, device, pack)
        views, rows = _size(file, "positives"), _size(file, "rows")
        temperature = file.setting("temperature")
        contrast = {"weights": "hard", "similarity": "cosine", "normaliser": "rows", "temperature": temperature}
        settings = scene.settings(masking={"views": views}, contrast=_spec_of(file, contrast))
        z, h, x = (file.tensor(name) for name in ("z", "h", "x"))
        if {len(z), len(h), len(x), rows} != {rows} or rows % (views + 1):
            raise CorpusError(
                f"'z', 'h' and 'x' of {file.path} must have {rows} rows, of {views + 1} views each.", HINT
            )
        embedding, numbers = h[0].numel(), x.shape[1]
        z_RND, x_RNF = scene.spread(z), scene.spread(x, "x")
        h_REN = scene.spread(h.flatten(1).T.contiguous(), "h")
        decoder = Parameters(
            {"decoder.weight": (numbers, embedding), "decoder.bias": (numbers,), "awl.params": (2,)},
            scene.replicas,
            device,
            torch.float64,
        )
        decoder.load_replica(
            scene.place,
            {
                "decoder.weight": file.tensor("decoder_weight", (numbers, embedding)),
                "decoder.bias": file.tensor("decoder_bias", (numbers,)),
                "awl.params": file.tensor("loss_scale", (2,)),
            },
        )
        others = [r for r in range(scene.replicas) if r != scene.place]
        decoder["awl.params"][others] = 1.0
        w = scene.views_alone(rows, views + 1)
        found = compare(z_RND.transpose(1, 2), w, settings)
        kept = found.pairs.kept_RNJ
        decoded = decode(decoder, h_REN)
        rebuilt = torch.bmm(kept, decoded)
        reconstruction = rebuilt.clone()
        squared, error = squared_error(rebuilt, x_RNF)
        errors = mean_error(squared, rows * numbers, None, settings)
        weighed = weigh(found.contrast_R, errors, decoder["awl.params"], settings)
        d_contrast, d_errors = weighed.slope_R2.unbind(1)
        d_rebuilt = error * mean_error(d_errors, rows * numbers, None, settings, times=2)[:, None, None]
        alone = comparison_backward(found, None, torch.ones_like(d_contrast), settings)
        d_kept = torch.bmm(d_rebuilt, decoded.transpose(1, 2))
        d_z = comparison_backward(found, d_kept, d_contrast, settings)
        d_h = decode_backward(torch.bmm(d_rebuilt.transpose(1, 2), kept), decoder, h_REN)
        similarity = torch.bmm(found.z_RDN.transpose(1, 2), found.all_RDJ)
        ours = {
            "similarity": similarity,
            "positives": w,
            "aggregation_weights": kept,
            "aggregated": torch.bmm(kept, h_REN.transpose(1, 2)),
            "reconstruction": reconstruction,
            "loss_contrastive": found.contrast_R,
            "loss_reconstruction": errors,
            "loss": weighed.total_R,
            "grad/z": d_z.transpose(1, 2),
            "grad_contrastive_z": alone.transpose(1, 2),
            "grad/h": d_h.transpose(1, 2).unflatten(2, h.shape[1:]),
            "grad/decoder_weight": decoder.gradients["decoder.weight"],
            "grad/decoder_bias": decoder.gradients["decoder.bias"],
            "grad/loss_scale": weighed.d_c_R2,
        }
        return [
            scene.compared(name, own, file.tensor(name, tuple(own.shape[1:]), integer=name == "positives"))
            for name, own in ours.items()
        ]


class SoftCltGolden:
    """Compares soft weights by distance and by time, and the losses that they make."""

    LABELS = "softclt_labels.npz"
    """Beside a file of series: its labels are those of the instances there."""

    def recognises(self, file: GoldenFile) -> bool:
        """Whether it has soft labels."""
        return any(name.startswith("soft_labels") for name in file.arrays)

    def verify(self, file: GoldenFile, device: torch.device, pack: bool) -> list[GoldenCheck]:
        """Compute labels or losses, and compare."""
        scene = _Scene(file, device, pack)
        if "x" in file.arrays:
            return self._labels(scene)
        return self._series(scene) if "series" in file.config else self._instances(scene)

    def _labels(self, scene: _Scene) -> list[GoldenCheck]:
        file = scene.file
        x_RNF = scene.spread(file.tensor("x"))
        windows, alpha, taus = x_RNF.shape[1], float(file.setting("alpha")), file.setting("tau")
        checks = []
        for distance in ("euclidean", "cosine"):
            d = distances(x_RNF, x_RNF, distance)
            golden = file.tensor(f"distance_{distance}", (windows, windows))
            # the file's cosine distance is minus the cosine
            shown = d - 1 if distance == "cosine" else d.clone()
            checks.append(scene.compared(f"distance, {distance}", shown, golden))
            # w = 2 / (1 + exp(d)) of the scaled distance d
            scaled = -(self._weights(scene, d, 1.0, 1.0) / 2).logit()
            checks.append(
                scene.compared(f"scaled, {distance}", scaled, file.tensor(f"scaled_{distance}", (windows, windows)))
            )
            labels = file.tensor(f"soft_labels_{distance}", (len(taus), windows, windows))
            for tau, golden in zip(taus, labels, strict=True):
                w = self._weights(scene, d, alpha, 1 / tau)
                w.diagonal(0, 1, 2).fill_(1)
                checks.append(scene.compared(f"labels, {distance}, τ {tau}", w, golden))
        return checks

    def _weights(self, scene: _Scene, d: Tensor, bound: float, temperature: float) -> Tensor:
        bound_R, temperature_R = (torch.full_like(d[:, 0, 0], number) for number in (bound, temperature))
        return weights_of_distances(d.clone(), bound_R, temperature_R, 0, SINGLE_PROCESS)

    def _instances(self, scene: _Scene) -> list[GoldenCheck]:
        file = scene.file
        size = _size(file, "windows"), _size(file, "time_steps"), _size(file, "dim")
        z = torch.cat([file.tensor(name, size)[:, 0] for name in ("z_1", "z_2")])
        labels = scene.tensor("soft_labels", (size[0], size[0]))
        checks = []
        for kind, w in (("", _tiled(labels)), ("_hard", scene.views_alone(len(z), 2)[0])):
            loss_R, d_z = scene.contrast(scene.spread(z), w.expand(scene.replicas, -1, -1), self._settings(scene))
            golden = [file.tensor(f"grad_{name}{kind}", size)[:, 0] for name in ("z_1", "z_2")]
            checks += [
                scene.compared(f"loss{kind}", loss_R, file.tensor(f"loss{kind}", ())),
                scene.compared(f"gradient{kind}", d_z, torch.cat(golden)),
            ]
        return checks

    def _series(self, scene: _Scene) -> list[GoldenCheck]:
        """Of each series its own loss, of rows of its own; each stands at the file's place once."""
        file = scene.file
        series, steps, width = (_size(file, name) for name in ("series", "time_steps", "dim"))
        taus = file.setting("tau")
        views = [file.tensor(name, (series, steps, width)) for name in ("z_1", "z_2")]
        z_SND = torch.cat(views, 1)
        labels = file.tensor("soft_labels", (len(taus), steps, steps))
        losses = file.tensor("loss", (len(taus),))
        halves = [file.tensor(f"grad_{name}", (len(taus), series, steps, width)) for name in ("z_1", "z_2")]
        time_RT = torch.arange(steps, dtype=torch.float64, device=scene.device).expand(scene.replicas, -1)
        times = WindowTimes(torch.zeros_like(time_RT, dtype=torch.int64), time_RT)
        one_R = torch.ones(scene.replicas, dtype=torch.float64, device=scene.device)
        checks = []
        for tau, golden_w, golden, gradient in zip(taus, labels, losses, torch.cat(halves, 2), strict=True):
            w = weights_in_time(times, times, one_R, one_R * math.log(3) / tau)
            # theirs cut the least weights off
            w = w.masked_fill(w < 1e-6, 0.0)
            checks.append(scene.compared(f"labels, τ {tau}", w, golden_w))
            ours, d_z = self._mean(scene, z_SND, _tiled(w[scene.place]))
            checks += [
                GoldenCheck(f"loss, τ {tau}", relative_error(ours, golden), TOLERANCE),
                GoldenCheck(f"gradient, τ {tau}", relative_error(d_z, gradient), TOLERANCE),
            ]
        hard, _ = self._mean(scene, z_SND, scene.views_alone(2 * steps, 2)[0])
        checks.append(GoldenCheck("loss_hard", relative_error(hard, file.tensor("loss_hard", ())), TOLERANCE))
        of_instances = torch.cat(views).unflatten(0, (2, series)).permute(2, 0, 1, 3).flatten(1, 2)
        instance, _ = self._mean(scene, of_instances, _tiled(self._labels_beside(scene, series)))
        golden = file.tensor("loss_instance", ())
        checks.append(GoldenCheck("loss_instance", relative_error(instance, golden), TOLERANCE))
        return checks

    def _labels_beside(self, scene: _Scene, series: int) -> Tensor:
        path = scene.file.path.with_name(self.LABELS)
        if not path.is_file():
            raise CorpusError(
                f"'loss_instance' of {scene.file.path} is of the labels in {self.LABELS}, which must lie beside it.",
                "put the two files into one folder.",
            )
        labels = read_file(path).tensor("soft_labels_euclidean")
        return labels[0, :series, :series].to(scene.device)

    def _mean(self, scene: _Scene, z_SND: Tensor, w_NN: Tensor) -> tuple[Tensor, Tensor]:
        """Mean of the losses of several sets of rows, and its gradient [S, N, D]."""
        settings, w = self._settings(scene), w_NN.expand(scene.replicas, -1, -1)
        found = [scene.contrast(scene.spread(z_ND), w, settings) for z_ND in z_SND]
        losses = torch.stack([loss_R[scene.place] for loss_R, _ in found])
        return losses.mean(), torch.stack([d_z[scene.place] for _, d_z in found]) / len(found)

    def _settings(self, scene: _Scene) -> PackSettings:
        contrast = {"similarity": "dot", "normaliser": "rows", "temperature": 1.0}
        return scene.settings(masking=TWO_COPIES, contrast=contrast)


def _tiled(labels_BB: Tensor) -> Tensor:
    """Weights of the rows of two views of each window, [2B, 2B]; none of a row with itself."""
    return labels_BB.repeat(2, 2).fill_diagonal_(0)
