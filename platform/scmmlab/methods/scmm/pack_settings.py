"""The settings of a pack: each replica's numbers and switches as tensors [R], and which work any replica needs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar, get_args

import torch
from torch import Tensor

from scmmlab.config.experiment import Precision
from scmmlab.errors import SpecError
from scmmlab.methods.scmm.spec import Distance, MaskMode, Normaliser, ScmmSpec

MASK_MODES: tuple[MaskMode, ...] = get_args(MaskMode)
NORMALISERS: tuple[Normaliser, ...] = get_args(Normaliser)


Value = TypeVar("Value", bound=Hashable)


@dataclass(frozen=True, eq=False)
class PackSettings:
    """What the replicas of a pack do in pre-training; build it with `PackSettings.stack`.

    Tensors are [R]; `any_*` and the tuples are Python values, so that asking them costs no device synchronisation.
    """

    precision: Precision
    """Of matrix multiplications, one for the pack."""
    views: int
    """Masked copies V of each window, one number for the pack."""
    originals: bool
    """Whether the windows themselves are rows beside their copies, in the whole pack."""
    mixup: float | None
    """α by which copies are mixed of two windows, in the whole pack; None where they are not."""
    noise_R: Tensor
    """Standard deviation of noise on copies."""
    gain_R: Tensor
    """Standard deviation of the factor of each copy."""
    any_augmentation: bool
    """Whether any replica has noise or a gain."""
    mask_mode_R: Tensor
    """Index into `MASK_MODES`."""
    mask_modes: frozenset[str]
    """The modes that any replica uses."""
    mask_ratio_R: Tensor
    """int16: the draw, counted from −2¹⁵ in steps of 2⁻¹⁶, below which a value (or channel) is hidden."""
    mask_threshold_R: Tensor
    """int16: `parallel` and `hybrid`, a draw from it on means random."""
    overwrite_originals_R: Tensor
    """bool: the windows themselves are masked like their only copies."""
    any_overwrite: bool
    upper_bound_R: Tensor
    """α."""
    soft_weight_temperature_R: Tensor
    """τ_s."""
    temperature_R: Tensor
    """τ."""
    any_contrast: bool
    """Whether any replica has a contrastive loss."""
    distance_replicas: tuple[tuple[str, tuple[int, ...]], ...]
    """Distance → the replicas whose soft weights use it; a distance that none uses is absent, and so are replicas of
    hard weights (1 for views of one window, else 0)."""
    trial_time: bool
    """Whether weights are by time within a trial, in the whole pack."""
    half_life_R: Tensor
    """Seconds after which these are half."""
    cosine_R: Tensor
    """bool: projections are compared by their cosine; else by their product."""
    any_cosine: bool
    normaliser_R: Tensor
    """Index into `NORMALISERS`."""
    normalisers: frozenset[str]
    """Those that any replica with a contrastive loss uses."""
    aggregate_R: Tensor
    """bool: rows are rebuilt from the others; else each from itself."""
    any_aggregate: bool
    """Whether any replica reconstructs from aggregated rows."""
    all_aggregate: bool
    """Whether all of them do."""
    top_k: tuple[int | None, ...]
    """Rows that the aggregator keeps; None for all."""
    any_reconstruct: bool
    """Whether any replica has a reconstruction loss."""
    original_target_R: Tensor
    """bool: a row is asked for the window that it is a copy of; else for itself."""
    any_original_target: bool
    masked_alone_R: Tensor
    """bool: values that were hidden count alone."""
    any_masked_alone: bool
    pairs_R: Tensor
    """bool: pairs of rows are compared at all, for the one loss or the other."""
    all_pairs: bool
    """Whether all replicas compare pairs."""
    loss_R2: Tensor
    """bool: whether the contrastive and the reconstruction loss take part."""
    learned_R2: Tensor
    """bool: loss weights that are learned, of losses that take part."""
    fixed_weight_R2: Tensor
    """Fixed weights of both losses."""

    experiments: tuple[ScmmSpec, ...]
    """What they were made of."""
    _parts: dict[int, list[PackSettings]] = field(default_factory=dict, repr=False)
    _indices: dict[tuple[int, ...], Tensor] = field(default_factory=dict, repr=False)

    def index(self, replicas: tuple[int, ...]) -> Tensor:
        """`replicas` as a tensor on the device, sent there once: a list would be sent at every step."""
        if replicas not in self._indices:
            self._indices[replicas] = torch.tensor(replicas, device=self.temperature_R.device)
        return self._indices[replicas]

    def parts(self, size: int) -> list[PackSettings]:
        """The settings in parts of `size` replicas."""
        if self.replicas <= size:
            return [self]
        if size not in self._parts:
            overwrite = self.overwrite_originals_R.tolist()
            device, dtype = self.temperature_R.device, self.temperature_R.dtype
            self._parts[size] = [
                PackSettings.stack(self.experiments[r : r + size], overwrite[r : r + size], device, dtype)
                for r in range(0, self.replicas, size)
            ]
        return self._parts[size]

    def in_memory_of(self, other: PackSettings) -> PackSettings | None:
        """These settings in the tensors of `other`, which are overwritten; None if other work is to be done for them.

        A CUDA graph goes on reading the memory, and doing the work, that it was captured with.
        """
        mine = {item.name: getattr(self, item.name) for item in fields(self) if not item.name.startswith("_")}
        tensors = {name: value for name, value in mine.items() if isinstance(value, Tensor)}
        work = mine.keys() - tensors.keys() - {"experiments"}
        if any(mine[name] != getattr(other, name) for name in work):
            return None
        for name, value in tensors.items():
            getattr(other, name).copy_(value)
        kept = {name: getattr(other, name) for name in tensors}
        return replace(self, **kept, _parts={}, _indices=other._indices)

    @property
    def rows_per_window(self) -> int:
        """Rows that a batch has of each window."""
        return self.views + int(self.originals)

    @property
    def any_pairs(self) -> bool:
        """Whether any replica compares pairs of rows."""
        return self.any_contrast or self.any_aggregate

    def active_projectors(self, active_R: Tensor | None) -> Tensor | None:
        """Which of the active replicas use their projector, and so update its running statistics; None for all."""
        if self.all_pairs:
            return active_R
        return self.pairs_R if active_R is None else self.pairs_R & active_R

    def choose_aggregated(self, aggregated_RNF: Tensor, own_RNF: Tensor) -> Tensor:
        """`aggregated_RNF` of replicas that aggregate, `own_RNF` of the others."""
        return torch.where(self.aggregate_R[:, None, None], aggregated_RNF, own_RNF)

    @property
    def replicas(self) -> int:
        """R."""
        return self.temperature_R.shape[0]

    @staticmethod
    def stack(
        experiments: Sequence[ScmmSpec],
        overwrite_originals: Sequence[bool],
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> PackSettings:
        """The settings of a pack, replica r from ``experiments[r]``.

        Parameters
        ----------
        experiments : sequence of ScmmSpec
            One a replica; all with the same precision, and with the same rows of a batch: views and whether the
            windows are rows beside them, mixup, and whether weights are by time.
        overwrite_originals : sequence of bool
            Whether masking overwrites the windows themselves, as the released code does with one view (with more it
            copies, and this changes nothing).
        device, dtype
            Of the tensors.

        Raises
        ------
        SpecError
            If the replicas cannot share a batch, or `dtype` is not the one that their precision rounds.
        """
        precision = _one("precision", [e.precision for e in experiments])
        if precision == "bf16" and dtype != torch.float32:
            raise SpecError(
                f"'precision: bf16' rounds the matrix multiplications of float32 arithmetic, got {dtype}.",
                hint="use 'precision: float32', which multiplies numbers of any type as they are.",
            )
        overwrite = [flag and e.masking.views == 1 for e, flag in zip(experiments, overwrite_originals, strict=True)]

        def number(values: Sequence[float | tuple[float, float]]) -> Tensor:
            return torch.tensor(values, device=device, dtype=dtype)

        def draws(probabilities: Sequence[float]) -> Tensor:
            # a probability of 1 is 2¹⁵, which int16 does not hold: the greatest draw is then the one exception
            numbers = [min(round(p * 2**16) - 2**15, 2**15 - 1) for p in probabilities]
            return torch.tensor(numbers, device=device, dtype=torch.int16)

        def flag(values: Sequence[bool | tuple[bool, bool]]) -> Tensor:
            return torch.tensor(values, device=device, dtype=torch.bool)

        contrast = [e.contrast.enabled for e in experiments]
        soft = [e.positives == "neighbours" for e in experiments]
        in_time = _one("contrast.positives", [e.contrast.enabled and e.positives == "trial_time" for e in experiments])
        reconstruct = [e.reconstruction.enabled for e in experiments]
        aggregate = [e.aggregator.enabled and e.reconstruction.enabled for e in experiments]
        cosine = [e.contrast.similarity == "cosine" for e in experiments]
        normalisers = [e.contrast.normaliser for e in experiments]
        original = [e.reconstruction.target == "original" for e in experiments]
        masked = [e.reconstruction.on == "masked" for e in experiments]
        loss = list(zip(contrast, reconstruct, strict=True))
        adaptive = [e.loss.weighting == "adaptive" for e in experiments]
        pairs = [c or a for c, a in zip(contrast, aggregate, strict=True)]
        users = {
            name: tuple(r for r, e in enumerate(experiments) if contrast[r] and soft[r] and e.contrast.distance == name)
            for name in get_args(Distance)
        }
        return PackSettings(
            precision=precision,
            views=_one("masking.views", [e.masking.views for e in experiments]),
            originals=_one("masking.originals", [e.masking.originals for e in experiments]),
            mixup=_one("augmentation.mixup", [e.augmentation.mixup for e in experiments]),
            noise_R=number([e.augmentation.noise for e in experiments]),
            gain_R=number([e.augmentation.gain for e in experiments]),
            any_augmentation=any(e.augmentation.noise or e.augmentation.gain for e in experiments),
            mask_mode_R=torch.tensor([MASK_MODES.index(e.masking.mode) for e in experiments], device=device),
            mask_modes=frozenset(e.masking.mode for e in experiments),
            mask_ratio_R=draws([e.masking.ratio for e in experiments]),
            mask_threshold_R=draws([e.masking.threshold for e in experiments]),
            overwrite_originals_R=flag(overwrite),
            any_overwrite=any(overwrite),
            upper_bound_R=number([e.contrast.upper_bound for e in experiments]),
            soft_weight_temperature_R=number([e.contrast.soft_weight_temperature for e in experiments]),
            temperature_R=number([e.contrast.temperature for e in experiments]),
            any_contrast=any(contrast),
            distance_replicas=tuple((name, replicas) for name, replicas in users.items() if replicas),
            trial_time=in_time,
            half_life_R=number([e.contrast.half_life for e in experiments]),
            cosine_R=flag(cosine),
            any_cosine=any(cosine),
            normaliser_R=torch.tensor([NORMALISERS.index(name) for name in normalisers], device=device),
            normalisers=frozenset(name for name, on in zip(normalisers, contrast, strict=True) if on),
            aggregate_R=flag(aggregate),
            any_aggregate=any(aggregate),
            all_aggregate=all(aggregate),
            top_k=tuple(e.aggregator.top_k for e in experiments),
            any_reconstruct=any(reconstruct),
            original_target_R=flag(original),
            any_original_target=any(original),
            masked_alone_R=flag(masked),
            any_masked_alone=any(masked),
            pairs_R=flag(pairs),
            all_pairs=all(pairs),
            loss_R2=flag(loss),
            learned_R2=flag(loss) & flag(adaptive).unsqueeze(1),
            fixed_weight_R2=number([(e.loss.contrast_weight, e.loss.reconstruction_weight) for e in experiments]),
            experiments=tuple(experiments),
        )


def _one(setting: str, values: Sequence[Value]) -> Value:
    """The value that all replicas have.

    Raises
    ------
    SpecError
        If they do not have one.
    """
    if any(value != values[0] for value in values):
        raise SpecError(
            f"Replicas of one pack must have the same '{setting}', got {sorted(set(values), key=str)}.",
            hint="pack replicas together that are equal in what a batch is made of.",
        )
    return values[0]
