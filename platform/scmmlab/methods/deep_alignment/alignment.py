"""What an alignment of features is: a loss of the features of source and target windows, and where it pulls them.

| symbol | meaning |
|---|---|
| R, D | replicas, numbers of a feature vector |
| N, M | rows of the source, of the target; rows are last |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor

from scmmlab.replica.parameters import Parameters, Sizes


class Pull(NamedTuple):
    """What an alignment says of a batch."""

    loss_R: Tensor
    """Its loss."""
    source_RDN: Tensor
    """What is added, times λ, to the gradient of the source's features; 0 in rows that do not count."""
    target_RDM: Tensor
    """The same of the target's."""


class Alignment(ABC):
    """A loss that is small where features of source and target are alike, with its gradient in closed form."""

    draws: bool = False
    """Whether a step needs random words."""

    def sizes(self, features: int) -> Sizes:
        """Name → shape of what it learns itself, on so many features."""
        return {}

    @abstractmethod
    def __call__(
        self,
        source_RDN: Tensor,
        target_RDM: Tensor,
        real_RN: Tensor,
        target_real_RM: Tensor,
        learned: Parameters | None = None,
        streams_2R1: Tensor | None = None,
    ) -> Pull:
        """The loss, and where it pulls features.

        Parameters
        ----------
        source_RDN, target_RDM : Tensor
            Features, finite.
        real_RN, target_real_RM : Tensor, bool
            Rows that count; a replica may have none.
        learned : Parameters or None
            With `sizes`; its gradient is written. None where nothing is learned.
        streams_2R1 : Tensor, int32, shape=(2, R, 1), or None
            Random words of the step, where it `draws`.
        """


def row_shares(real_RN: Tensor, like: Tensor) -> Tensor:
    """1/n for each of the n rows that count and 0 for the others, [R, 1, N], in the type of `like`."""
    weight_R1N = real_RN.unsqueeze(1).to(like.dtype)
    # a replica without rows that count has sums of 0, and divides them by 1
    return weight_R1N / weight_R1N.sum(2, keepdim=True).clamp_(min=1)


def row_means(f_RDN: Tensor, share_R1N: Tensor) -> Tensor:
    """Means [R, D, 1] of rows by their shares."""
    # as a product of matrix and column, one replica would be rounded otherwise than several
    return (f_RDN * share_R1N).sum(2, keepdim=True)
