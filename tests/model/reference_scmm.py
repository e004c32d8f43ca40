"""SCMM for one replica in PyTorch's own modules, as slowly as it is said: what packs are held to."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.parameters import Parameters


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.Conv1d(inputs, outputs, 8, padding=4, bias=False)
    return [convolution, nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(2, 2, padding=1)]


class ReferenceScmm(nn.Module):
    """Encoder, projector, decoder, classifier and loss weights under the released names."""

    def __init__(self, shape: Shape):
        super().__init__()
        d, e = shape.width, shape.embedding
        self.encoder = nn.Sequential(*(layer for sizes in shape.blocks for layer in _block(*sizes)))
        self.projector = nn.Sequential(nn.Linear(e, 2 * d), nn.BatchNorm1d(2 * d), nn.ReLU(), nn.Linear(2 * d, d))
        self.decoder = nn.Linear(e, shape.channels * shape.bands)
        self.awl = nn.Module()
        self.awl.params = nn.Parameter(torch.ones(2))
        self.fc = nn.Linear(e, shape.classifier_width)
        self.classifier = nn.Linear(shape.classifier_width, shape.classes)
        self.double()

    def load(self, *parameters: Parameters, replica: int = 0) -> ReferenceScmm:
        """Take the numbers of one replica."""
        for part in parameters:
            self.load_state_dict(part.replica_state(replica), strict=False)
        return self

    def losses(
        self,
        x: Tensor,
        keep: Tensor,
        experiment: ScmmSpec,
        overwrite: bool = False,
        copies: Tensor | None = None,
        mixture: tuple[Tensor, Tensor] | None = None,
        times: tuple[Tensor, Tensor] | None = None,
    ) -> list[Tensor]:
        """Total, contrastive and reconstruction loss of windows [B, C, F] and what their copies keep."""
        windows, views = len(x), len(keep) // len(x)
        copies = (x.repeat(views, 1, 1) if copies is None else copies) * keep
        rows = torch.cat([copies if overwrite else x, copies]) if experiment.masking.originals else copies
        n = len(rows)
        flat = rows.flatten(1)
        h = self.encoder(rows).flatten(1)
        z = self.projector(h)
        itself = torch.eye(n, dtype=torch.bool)
        window = torch.arange(n) % windows
        same = (window[:, None] == window) & ~itself

        weights = torch.zeros(n, n, dtype=x.dtype)
        if times is not None:
            weights = reference_weights_in_time(*times, experiment).repeat(n // windows, n // windows)
        elif experiment.contrast.weights == "soft":
            weights = reference_soft_weights(flat, experiment)
        weights = torch.where(same, 1.0, weights)
        if mixture is not None:
            share, partner = mixture
            weights = torch.zeros(n, n, dtype=x.dtype)
            for b in range(windows):
                weights[windows + b, b] += share
                weights[windows + b, partner[b]] += 1 - share
        if experiment.contrast.similarity == "cosine":
            z = functional.normalize(z)
        s = z @ z.T / experiment.contrast.temperature
        if mixture is not None:
            s = torch.cat([s[:, :windows], torch.full_like(s[:, windows:], -1e300)], 1)
        others = ~itself
        log_p = s.masked_fill(itself, -torch.inf).log_softmax(1)
        contrast = -(weights[others] * log_p[others]).sum()
        contrast = (
            contrast
            / {"pairs": n * (n - 1), "rows": n, "weight_mass": weights[others].sum()}[experiment.contrast.normaliser]
        )

        p = s.masked_fill(itself, -torch.inf)
        if (k := experiment.aggregator.top_k) is not None and k < n - 1:
            least = p.topk(k, dim=1).values[:, -1:]
            p = p.masked_fill(p < least, -torch.inf)
        aggregated = p.softmax(1) @ h if experiment.aggregator.enabled else h
        asked = x.flatten(1).repeat(n // windows, 1) if experiment.reconstruction.target == "original" else flat
        squared = (self.decoder(aggregated) - asked).square()
        reconstruction = squared.mean()
        if experiment.reconstruction.on == "masked":
            hidden = ~torch.cat([torch.ones_like(x, dtype=torch.bool), keep])[-n:].flatten(1)
            reconstruction = squared[hidden].mean()

        total = torch.zeros((), dtype=x.dtype)
        loss = experiment.loss
        for part, enabled, fixed, c in (
            (contrast, experiment.contrast.enabled, loss.contrast_weight, self.awl.params[0]),
            (reconstruction, experiment.reconstruction.enabled, loss.reconstruction_weight, self.awl.params[1]),
        ):
            if enabled and loss.weighting == "adaptive":
                total = total + part / (2 * c**2) + torch.log(1 + c**2)
            elif enabled:
                total = total + fixed * part
        return [total, contrast, reconstruction]

    def logits(self, x: Tensor) -> Tensor:
        """Class logits of windows."""
        return self.classifier(self.fc(self.encoder(x).flatten(1)).sigmoid())


def reference_soft_weights(flat: Tensor, experiment: ScmmSpec) -> Tensor:
    """Weights of all pairs, by broadcasting every row against every other."""
    a, b = flat[:, None], flat[None]
    d = {
        "cosine": lambda: -functional.cosine_similarity(a, b, dim=-1),
        "euclidean": lambda: (a - b).square().sum(-1).sqrt(),
        "manhattan": lambda: (a - b).abs().sum(-1),
    }[experiment.contrast.distance]()
    itself = torch.eye(len(d), dtype=torch.bool)
    d = d.masked_fill(itself, float(d[~itself].min()))
    span = d.amax(0) - d.amin(0)
    span = torch.where(span < 10 * torch.finfo(d.dtype).eps, 1.0, span)
    d = (d - d.amin(0)) / span
    return 2 * experiment.contrast.upper_bound / (1 + torch.exp(d / experiment.contrast.soft_weight_temperature))


def reference_weights_in_time(trial: Tensor, time: Tensor, experiment: ScmmSpec) -> Tensor:
    """Weights of all pairs of windows, by when they were recorded."""
    apart = (time[:, None] - time[None]).abs() / experiment.contrast.half_life
    return torch.where(trial[:, None] == trial[None], 2 * experiment.contrast.upper_bound / (1 + 3.0**apart), 0.0)
