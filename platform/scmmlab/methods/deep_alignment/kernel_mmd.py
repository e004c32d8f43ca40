"""The maximum mean discrepancy of five Gaussian kernels of different widths (DAN, Long et al. 2015).

k(a, b) = Σ_u exp(−‖a − b‖² / (σ² 2^u)), u = −2 … 2
L = Σ_ij w_ij k(f_i, f_j) over the rows of source and target together; ∂L/∂f_i = 2 Σ_j (g_ij + g_ji) (f_i − f_j) with
g_ij = w_ij ∂k/∂‖f_i − f_j‖²

σ² is the mean squared distance of two rows of the batch, which has no gradient, or a number that is set.

Pairs of rows weigh, by `pairs`,
- `all`: w = s sᵀ with s = 1/n_s for rows of the source and −1/n_t for those of the target, so that
  L = mean K_ss + mean K_tt − 2 mean K_st;
- `consecutive`: 1/n for (s_i, s_i+1) and (t_i, t_i+1), −1/n for (s_i, t_i+1) and (t_i, s_i+1), where n is the smaller
  number of rows and the first row follows the last: the estimate without bias.

Legend: R replica, D number of a feature vector, N and M row of source and target, J row of both, the source's first.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from scmmlab.methods.deep_alignment.alignment import Alignment, Pull, row_means, row_shares
from scmmlab.replica.parameters import Parameters

Pairs = Literal["all", "consecutive"]
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""2^u of the kernels."""


def squared_distances(f_RDJ: Tensor, real_R1J: Tensor) -> Tensor:
    """‖f_i − f_j‖², [R, J, J]; of rows that do not count something finite.

    Parameters
    ----------
    f_RDJ : Tensor
        Rows.
    real_R1J : Tensor
        1 for those that count, else 0.
    """
    # ‖a‖² + ‖b‖² − 2 a·b would cancel where all rows lie far from 0
    mean_RD1 = row_means(f_RDJ, real_R1J / real_R1J.sum(2, keepdim=True).clamp(min=1))
    centred_RDJ = (f_RDJ - mean_RD1) * real_R1J
    product_RJJ = torch.bmm(centred_RDJ.transpose(1, 2), centred_RDJ)
    norm_RJ = product_RJJ.diagonal(dim1=1, dim2=2)
    distance_RJJ = (norm_RJ.unsqueeze(1) + norm_RJ.unsqueeze(2)).sub_(product_RJJ, alpha=2).clamp_(min=0)
    distance_RJJ.diagonal(dim1=1, dim2=2).zero_()
    return distance_RJJ


def mean_distance(distance_RJJ: Tensor, real_R1J: Tensor) -> Tensor:
    """σ², [R, 1, 1]: the mean over the ordered pairs of two different rows that count."""
    sum_R11 = torch.bmm(torch.bmm(real_R1J, distance_RJJ), real_R1J.transpose(1, 2))
    rows_R11 = real_R1J.sum(2, keepdim=True)
    # two rows that are the same have a kernel of 1 at any width, which must not be 0/0
    return (sum_R11 / (rows_R11 * (rows_R11 - 1)).clamp(min=1)).clamp(min=torch.finfo(sum_R11.dtype).tiny ** 0.5)


def kernels(distance_RJJ: Tensor, bandwidth_R11: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the kernels, and its derivative with respect to the squared distance, both [R, J, J]."""
    sum_RJJ, slope_RJJ = torch.zeros_like(distance_RJJ), torch.zeros_like(distance_RJJ)
    for width in WIDTHS:
        scale_R11 = 1 / (bandwidth_R11 * width)
        kernel_RJJ = (distance_RJJ * -scale_R11).exp_()
        sum_RJJ += kernel_RJJ
        slope_RJJ.addcmul_(kernel_RJJ, scale_R11, value=-1)
    return sum_RJJ, slope_RJJ


def pair_weights(pairs: Pairs, share_R1N: Tensor, target_share_R1M: Tensor) -> Tensor:
    """The weights w of the pairs, [R, J, J].

    Parameters
    ----------
    pairs : str
        Which.
    share_R1N, target_share_R1M : Tensor
        1/n for rows that count, which come first, and 0 for the others.
    """
    if pairs == "all":
        sign_R1J = torch.cat((share_R1N, -target_share_R1M), 2)
        return torch.bmm(sign_R1J.transpose(1, 2), sign_R1J)
    rows = share_R1N.shape[2]
    assert target_share_R1M.shape[2] == rows, "batches have one shape"
    count_R11 = torch.minimum((share_R1N > 0).sum(2, keepdim=True), (target_share_R1M > 0).sum(2, keepdim=True))
    row = torch.arange(rows, device=share_R1N.device)
    # the row after the last one is the first
    next_R1N = torch.where(row + 1 < count_R11, row + 1, 0)
    follows_RNN = (next_R1N.transpose(1, 2) == row) & (row < count_R11).transpose(1, 2)
    step_RNN = follows_RNN.to(share_R1N.dtype) / count_R11.clamp(min=1)
    return torch.cat((torch.cat((step_RNN, -step_RNN), 2), torch.cat((-step_RNN, step_RNN), 2)), 1)


class KernelMmd(Alignment):
    """The discrepancy by kernels.

    Parameters
    ----------
    pairs : str
        Which pairs of rows are compared.
    bandwidth : float or None
        σ²; the mean squared distance of the batch when None.
    """

    def __init__(self, pairs: Pairs = "all", bandwidth: float | None = None):
        self._pairs, self._bandwidth = pairs, bandwidth

    def __call__(
        self,
        source_RDN: Tensor,
        target_RDM: Tensor,
        real_RN: Tensor,
        target_real_RM: Tensor,
        learned: Parameters | None = None,
        streams_2R1: Tensor | None = None,
    ) -> Pull:
        """The loss and its gradient."""
        f_RDJ = torch.cat((source_RDN, target_RDM), 2)
        real_R1J = torch.cat((real_RN, target_real_RM), 1).unsqueeze(1).to(f_RDJ.dtype)
        distance_RJJ = squared_distances(f_RDJ, real_R1J)
        if self._bandwidth is None:
            bandwidth_R11 = mean_distance(distance_RJJ, real_R1J)
        else:
            bandwidth_R11 = f_RDJ.new_full((len(f_RDJ), 1, 1), self._bandwidth)
        kernel_RJJ, slope_RJJ = kernels(distance_RJJ, bandwidth_R11)
        shares = row_shares(real_RN, source_RDN), row_shares(target_real_RM, target_RDM)
        weight_RJJ = pair_weights(self._pairs, *shares)
        g_RJJ = slope_RJJ.mul_(weight_RJJ)
        both_RJJ = g_RJJ + g_RJJ.transpose(1, 2)
        gradient_RDJ = (f_RDJ * both_RJJ.sum(1, keepdim=True)).sub_(torch.bmm(f_RDJ, both_RJJ)).mul_(2)
        source, target = gradient_RDJ.split([source_RDN.shape[2], target_RDM.shape[2]], 2)
        return Pull(kernel_RJJ.mul_(weight_RJJ).sum((1, 2)), source, target)
