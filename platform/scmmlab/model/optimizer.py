"""Adam with L2 regularisation in its gradient, over the flat buffers of a pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from scmmlab.config import OptimizerSpec

EPSILON = 1e-8


class Adam:
    """First and second moments and step counts of R replicas (Kingma & Ba 2015, algorithm 1, with L2).

    Parameters
    ----------
    values : Tensor, shape=(R, n)
        The flat buffer that will be stepped; gives shape, device and dtype.
    specs : sequence of OptimizerSpec
        One a replica: decays and L2 coefficient. The step size is given at each step, since a schedule changes it.
    """

    def __init__(self, values: Tensor, specs: Sequence[OptimizerSpec]):
        def column(numbers: Sequence[float]) -> Tensor:
            return torch.tensor(numbers, device=values.device, dtype=values.dtype).unsqueeze(-1)

        self.m = torch.zeros_like(values)
        """First moments, [R, n]."""
        self.v = torch.zeros_like(values)
        """Second moments, [R, n]."""
        self.t = torch.zeros(values.shape[0], device=values.device, dtype=torch.int64)
        """Steps taken, [R]."""
        self.beta1_R1 = column([s.beta1 for s in specs])
        self.beta2_R1 = column([s.beta2 for s in specs])
        self.weight_decay_R1 = column([s.weight_decay for s in specs])

    @torch.no_grad()
    def step(self, values: Tensor, gradient: Tensor, learning_rate_R: Tensor, active_R: Tensor | None = None) -> None:
        """Take one step in place.

        Parameters
        ----------
        values : Tensor, shape=(R, n)
            Parameters, changed in place.
        gradient : Tensor, shape=(R, n)
            Gradients of the losses; not changed.
        learning_rate_R : Tensor, shape=(R,)
            Step sizes.
        active_R : Tensor, bool, shape=(R,), or None
            Replicas that step; the others' parameters, moments and counts stay bit for bit what they are. All when None.
        """
        if active_R is not None:
            before = values.clone(), self.m.clone(), self.v.clone()
        self.t += 1 if active_R is None else active_R.to(self.t.dtype)
        t_R1 = self.t.unsqueeze(-1).to(values.dtype)
        # g ← g + λ θ;  m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²
        g = torch.addcmul(gradient, values, self.weight_decay_R1)
        self.m.lerp_(g, 1 - self.beta1_R1)
        self.v.mul_(self.beta2_R1).addcmul_(g * (1 - self.beta2_R1), g)
        # θ ← θ − η · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)
        denominator = (self.v.sqrt() / (1 - self.beta2_R1**t_R1).sqrt()).add_(EPSILON)
        rate = learning_rate_R.unsqueeze(-1) / (1 - self.beta1_R1**t_R1)
        values.sub_(rate * self.m / denominator)
        if active_R is not None:
            for now, then in zip((values, self.m, self.v), before, strict=True):
                now.copy_(torch.where(active_R.unsqueeze(-1), now, then))

    def replica_state(self, replica: int) -> dict[str, Tensor]:
        """Clones of one replica's moments `m`, `v` ([n]) and step count `t`."""
        return {name: getattr(self, name)[replica].clone() for name in ("m", "v", "t")}

    def load_replica(self, replica: int, state: Mapping[str, Tensor]) -> None:
        """Overwrite one replica's moments and step count."""
        for name in ("m", "v", "t"):
            mine = getattr(self, name)
            mine[replica] = state[name].to(mine)

    def reset_replica(self, replica: int) -> None:
        """Forget one replica's moments and step count, as for a replica that joins the pack."""
        for tensor in (self.m, self.v, self.t):
            tensor[replica] = 0
