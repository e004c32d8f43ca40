"""Adam with L2 regularisation in its gradient, over the flat buffers of a pack.

Legend: R replica, n number of its parameters; 1 stands where a replica has one number for all of them, 2 for the pair
of m and v.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

from scmmlab.config import OptimizerSpec
from scmmlab.replica.replicas import replica_threads, spread

EPSILON = 1e-8
"""ε, PyTorch's: a parameter whose gradient was always 0 would be divided by 0."""


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
        self.m = torch.zeros_like(values)
        """First moments, [R, n]."""
        self.v = torch.zeros_like(values)
        """Second moments, [R, n]."""
        self.t = torch.zeros(values.shape[0], device=values.device, dtype=torch.float32)
        """Steps taken, [R]; whole numbers, in the type that PyTorch's own Adam counts in."""
        self._constants = [(spec.beta1, spec.beta2, spec.weight_decay) for spec in specs]
        columns = torch.tensor(self._constants, device=values.device, dtype=values.dtype)
        self._columns_3R1 = columns.T.contiguous().unsqueeze(-1)

    def assign(self, replica: int, spec: OptimizerSpec) -> None:
        """Give one replica other decays and another L2 coefficient, in place; what it has learned stays."""
        self._constants[replica] = (spec.beta1, spec.beta2, spec.weight_decay)
        self._columns_3R1[:, replica, 0] = torch.tensor(self._constants[replica], dtype=self._columns_3R1.dtype)

    @torch.inference_mode()
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
            Replicas that step; the others' parameters, moments and counts stay what they are, bit for bit. All when
            None.
        """
        if values.device.type == "cpu":
            self._step_rows(values, gradient, learning_rate_R, active_R)
        else:
            self._step_columns(values, gradient, learning_rate_R, active_R)

    def _step_rows(self, values: Tensor, gradient: Tensor, learning_rate_R: Tensor, active_R: Tensor | None) -> None:
        """By PyTorch's fused kernel, row by row: it passes over memory once, where `_step_columns` needs ten."""
        active = [True] * len(values) if active_R is None else active_R.tolist()
        groups: dict[tuple[float, ...], list[int]] = {}
        for r, rate in enumerate(learning_rate_R.tolist()):
            if active[r]:
                groups.setdefault((rate, *self._constants[r]), []).append(r)
        all_rows = [tensor.unbind() for tensor in (values, gradient, self.m, self.v, self.t)]

        def step(replicas: Sequence[int], rate: float, beta1: float, beta2: float, weight_decay: float) -> None:
            parameters, gradients, first, second, counts = ([rows[r] for r in replicas] for rows in all_rows)
            adam(
                parameters,
                gradients,
                first,
                second,
                [],
                counts,
                fused=True,
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=rate,
                weight_decay=weight_decay,
                eps=EPSILON,
                maximize=False,
            )

        threads = replica_threads()
        spread(
            step,
            [
                (share, *constants)
                for constants, replicas in groups.items()
                for share in (replicas[thread::threads] for thread in range(threads))
                if share
            ],
        )

    def _step_columns(self, values: Tensor, gradient: Tensor, learning_rate_R: Tensor, active_R: Tensor | None) -> None:
        """By operations on all replicas at once, whatever their constants, without a word from device to host.

        Arrays of the parameters' size are read and written a dozen times, and no more: on a GPU that is what it costs.
        """
        beta_2R1, weight_decay_R1 = self._columns_3R1[:2], self._columns_3R1[2]
        share_2R1, rate_R1 = 1 - beta_2R1, learning_rate_R.to(values.dtype).unsqueeze(-1)
        # g ← g + λ θ;  m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²
        g = torch.addcmul(gradient, values, weight_decay_R1)
        if active_R is None:
            self.t += 1
        else:
            active_R1 = active_R.unsqueeze(-1)
            self.t += active_R
            share_2R1, rate_R1 = share_2R1 * active_R1, rate_R1 * active_R1
            # 0 times what is no number is none
            g.masked_fill_(active_R1.logical_not(), 0.0)
        self.m.lerp_(g, share_2R1[0].expand_as(g))
        self.v.lerp_(g.square_(), share_2R1[1].expand_as(g))
        # θ ← θ − η m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε) = θ − m / (a √v + b)
        correction_2R1 = 1 - beta_2R1 ** self.t.unsqueeze(-1).to(values.dtype)
        scale_R1, moves_R1 = correction_2R1[0] / rate_R1, rate_R1 > 0
        # b = ∞ leaves a replica that does not step where it is, bit for bit; its η = 0 would make a and b no numbers
        a_R1 = torch.where(moves_R1, scale_R1 * correction_2R1[1].rsqrt(), 1.0)
        b_R1 = torch.where(moves_R1, scale_R1 * EPSILON, torch.inf)
        values.addcdiv_(self.m, torch.addcmul(b_R1, torch.sqrt(self.v, out=g), a_R1, out=g), value=-1)

    def replica_state(self, replica: int) -> dict[str, Tensor]:
        """Clones of one replica's moments `m`, `v` ([n], laid out as the flat buffer) and step count `t`."""
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
