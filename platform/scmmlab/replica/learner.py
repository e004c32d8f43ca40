"""A network of a pack as it learns: parameters, optimiser, and what else its steps leave behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from scmmlab.config import OptimizerSpec
from scmmlab.replica.optimizer import Adam
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.snapshot import Snapshot


class Learner:
    """Parameters of R replicas and all that decides their next step.

    Parameters
    ----------
    parameters : Parameters
        What learns, changed in place.
    optimizers : sequence of OptimizerSpec
        Step rule of each replica.
    sum_gradients : bool
        Whether gradients are never zeroed: each step takes the sum of all gradients so far, as the released code does
        in fine-tuning.
    keep_best : bool
        Whether the parameters of a best epoch are kept beside (`best`).
    """

    def __init__(
        self,
        parameters: Parameters,
        optimizers: Sequence[OptimizerSpec],
        sum_gradients: bool = False,
        keep_best: bool = False,
    ):
        self.parameters = parameters
        self.adam = Adam(parameters.values, optimizers)
        self.gradient_sum = torch.zeros_like(parameters.values) if sum_gradients else None
        self.best = Snapshot(parameters) if keep_best else None

    def step(self, gradient: Tensor, learning_rate_R: Tensor, active_R: Tensor | None = None) -> None:
        """Take one step along `gradient` [R, n]; replicas that are not active stay bit for bit what they are."""
        if self.gradient_sum is not None:
            if active_R is not None:
                gradient = torch.where(active_R.unsqueeze(-1), gradient, 0.0)
            gradient = self.gradient_sum.add_(gradient)
        self.adam.step(self.parameters.values, gradient, learning_rate_R, active_R)

    def replica_state(self, replica: int) -> dict[str, Tensor]:
        """Everything of one replica, by name; its parameters and buffers under their own names."""
        state = self.parameters.replica_state(replica)
        state |= {f"adam.{name}": tensor for name, tensor in self.adam.replica_state(replica).items()}
        if self.gradient_sum is not None:
            state["gradient_sum"] = self.gradient_sum[replica].clone()
        if self.best is not None:
            state |= {f"best.{name}": tensor for name, tensor in self.best.replica_state(replica).items()}
        return state

    def load_replica(self, replica: int, state: Mapping[str, Tensor]) -> None:
        """Overwrite one replica with what `replica_state` gave."""
        self.parameters.load_replica(replica, state)
        self.adam.load_replica(replica, below("adam.", state))
        if self.gradient_sum is not None:
            self.gradient_sum[replica] = state["gradient_sum"].to(self.gradient_sum)
        if self.best is not None:
            self.best.load_replica(replica, below("best.", state))

    def assign(self, replica: int, initial: Mapping[str, Tensor], optimizer: OptimizerSpec) -> None:
        """Begin one replica anew, in place, with other initial parameters and another step rule."""
        assert self.gradient_sum is None, "folds do not change places"
        assert self.best is None, "folds do not change places"
        self.parameters.load_replica(replica, initial)
        self.adam.assign(replica, optimizer)
        self.adam.reset_replica(replica)


def below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
