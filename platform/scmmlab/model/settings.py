"""The settings of a pack: each replica's numbers and switches as tensors [R], and which work any replica needs at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scmmlab.config import ExperimentSpec
from scmmlab.errors import SpecError

MASK_MODES = ("none", "random", "channel", "parallel", "hybrid")
DISTANCES = ("cosine", "euclidean", "manhattan")


@dataclass(frozen=True)
class Settings:
    """What the replicas of a pack do in pre-training; build it with `Settings.stack`.

    Tensors are [R]; `any_*` and the tuples are Python values, so that asking them costs no device synchronisation.
    """

    views: int
    """Masked copies V of each window, one number for the pack."""
    mask_mode_R: Tensor
    """Index into `MASK_MODES`."""
    mask_modes: frozenset[str]
    """The modes that any replica uses."""
    mask_ratio_R: Tensor
    """Probability that a value (or channel) is hidden."""
    mask_threshold_R: Tensor
    """`parallel` and `hybrid`: a draw above it means random."""
    overwrite_originals_R: Tensor
    """bool: the windows themselves are masked like their only copies."""
    any_overwrite: bool
    upper_bound_R: Tensor
    """α."""
    soft_weight_temperature_R: Tensor
    """τ_s."""
    temperature_R: Tensor
    """τ."""
    contrast_R: Tensor
    """bool: the contrastive loss takes part."""
    any_contrast: bool
    soft_R: Tensor
    """bool: soft weights; else 1 for views of one window and 0 for the rest."""
    distance_replicas: tuple[tuple[str, tuple[int, ...]], ...]
    """Distance → the replicas whose soft weights use it; a distance that none uses is absent."""
    aggregate_R: Tensor
    """bool: rows are rebuilt from the others; else each from itself."""
    any_aggregate: bool
    all_aggregate: bool
    top_k: tuple[int | None, ...]
    """Rows that the aggregator keeps; None for all."""
    reconstruct_R: Tensor
    """bool: the reconstruction loss takes part."""
    any_reconstruct: bool
    adaptive_R: Tensor
    """bool: loss weights are learned."""
    any_adaptive: bool
    contrast_weight_R: Tensor
    """Fixed weight of the contrastive loss."""
    reconstruction_weight_R: Tensor
    """Fixed weight of the reconstruction loss."""

    @property
    def replicas(self) -> int:
        """R."""
        return self.temperature_R.shape[0]

    @staticmethod
    def stack(
        experiments: Sequence[ExperimentSpec],
        overwrite_originals: Sequence[bool],
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> Settings:
        """The settings of a pack, replica r from ``experiments[r]``.

        Parameters
        ----------
        experiments : sequence of ExperimentSpec
            One a replica; all with the same number of views, since views decide the shape of a batch.
        overwrite_originals : sequence of bool
            Whether masking overwrites the windows themselves, as the released code does with one view (with more it
            copies, and this changes nothing).
        device, dtype
            Of the tensors.

        Raises
        ------
        SpecError
            If the replicas cannot share a batch.
        """
        views = {e.masking.views for e in experiments}
        if len(views) != 1:
            raise SpecError(
                f"Replicas of one pack must have the same 'masking.views', got {sorted(views)}.",
                hint="pack replicas of equal batch shape together.",
            )
        overwrite = [flag and e.masking.views == 1 for e, flag in zip(experiments, overwrite_originals, strict=True)]

        def number(values: Sequence[float]) -> Tensor:
            return torch.tensor(values, device=device, dtype=dtype)

        def flag(values: Sequence[bool]) -> Tensor:
            return torch.tensor(values, device=device, dtype=torch.bool)

        contrast = [e.contrast.enabled for e in experiments]
        soft = [e.contrast.weights == "soft" for e in experiments]
        reconstruct = [e.reconstruction.enabled for e in experiments]
        aggregate = [e.aggregator.enabled for e in experiments]
        adaptive = [e.loss.weighting == "adaptive" for e in experiments]
        users = {
            name: tuple(r for r, e in enumerate(experiments) if contrast[r] and soft[r] and e.contrast.distance == name)
            for name in DISTANCES
        }
        return Settings(
            views=views.pop(),
            mask_mode_R=torch.tensor([MASK_MODES.index(e.masking.mode) for e in experiments], device=device),
            mask_modes=frozenset(e.masking.mode for e in experiments),
            mask_ratio_R=number([e.masking.ratio for e in experiments]),
            mask_threshold_R=number([e.masking.threshold for e in experiments]),
            overwrite_originals_R=flag(overwrite),
            any_overwrite=any(overwrite),
            upper_bound_R=number([e.contrast.upper_bound for e in experiments]),
            soft_weight_temperature_R=number([e.contrast.soft_weight_temperature for e in experiments]),
            temperature_R=number([e.contrast.temperature for e in experiments]),
            contrast_R=flag(contrast),
            any_contrast=any(contrast),
            soft_R=flag(soft),
            distance_replicas=tuple((name, replicas) for name, replicas in users.items() if replicas),
            aggregate_R=flag(aggregate),
            any_aggregate=any(a and r for a, r in zip(aggregate, reconstruct, strict=True)),
            all_aggregate=all(aggregate),
            top_k=tuple(e.aggregator.top_k for e in experiments),
            reconstruct_R=flag(reconstruct),
            any_reconstruct=any(reconstruct),
            adaptive_R=flag(adaptive),
            any_adaptive=any(adaptive),
            contrast_weight_R=number([e.loss.contrast_weight for e in experiments]),
            reconstruction_weight_R=number([e.loss.reconstruction_weight for e in experiments]),
        )
