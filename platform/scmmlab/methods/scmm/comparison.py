"""The comparison of all rows of a batch by their projections: the contrastive loss and the aggregator's weights.

Legend: R replica, D width, N row of this worker, J row of any worker.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from scmmlab.methods.scmm.contrast import normalised, weight_mass
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.pair_softmax import Pairs, pair_gradient, pair_softmax
from scmmlab.methods.scmm.similarity import unit_backward, unit_projections
from scmmlab.replica.collectives import SINGLE_PROCESS, Collectives
from scmmlab.replica.matmul import FLOAT32, Matmul


class Comparison(NamedTuple):
    """What a comparison leaves behind."""

    contrast_R: Tensor
    """The contrastive loss, or this worker's part of it; 0 without weights."""
    pairs: Pairs
    z_RDN: Tensor
    """What was compared: projections, or those of length 1."""
    mass_R: Tensor | None
    """Sum of all weights; None where no replica is divided by it."""
    length_R1N: Tensor | None
    """Lengths of the projections; None where no replica compares by cosine."""
    scaled_RDN: Tensor
    """`z_RDN` divided by the temperature."""
    all_RDJ: Tensor
    """All workers' `z_RDN`."""

    @property
    def rows(self) -> int:
        """N of all workers."""
        return self.all_RDJ.shape[2]


def compare(
    z_RDN: Tensor,
    w_RNJ: Tensor | None,
    settings: PackSettings,
    group: Collectives = SINGLE_PROCESS,
    hidden_copies: int = 0,
) -> Comparison:
    """Compare projections, s = z zᵀ / τ.

    Parameters
    ----------
    z_RDN : Tensor
        Projections, rows last.
    w_RNJ : Tensor or None
        Weights of the contrastive loss; None when no replica has one.
    settings : PackSettings
        Similarities, temperatures, divisors.
    group : Collectives
        Workers that share the rows.
    hidden_copies : int
        As in `pair_softmax`.
    """
    length_R1N = None
    if settings.any_cosine:
        z_RDN, length_R1N = unit_projections(z_RDN, settings.cosine_R)
    scaled, all_RDJ = z_RDN / settings.temperature_R[:, None, None], group.gather(z_RDN, 2)
    pairs = pair_softmax(scaled, all_RDJ, w_RNJ, settings.top_k, group.rank * z_RDN.shape[2], hidden_copies)
    mass_R = weight_mass(pairs.w_sum_RN1, settings, group)
    contrast_R = normalised(pairs.contrast_R, mass_R, all_RDJ.shape[2], settings)
    return Comparison(contrast_R, pairs, z_RDN, mass_R, length_R1N, scaled, all_RDJ)


def comparison_backward(
    found: Comparison,
    d_kept_RNJ: Tensor | None,
    d_contrast_R: Tensor,
    settings: PackSettings,
    group: Collectives = SINGLE_PROCESS,
    matmul: Matmul = FLOAT32,
) -> Tensor:
    """The gradient of the projections.

    Parameters
    ----------
    found : Comparison
        From `compare`.
    d_kept_RNJ : Tensor or None
        Of the aggregator's weights, overwritten; None where nothing is aggregated.
    d_contrast_R : Tensor
        Of the contrastive loss.
    settings, group
        As in `compare`.
    matmul : Matmul
        How matrices are multiplied.
    """
    temperature_R11 = settings.temperature_R[:, None, None]
    d_sum_R = normalised(d_contrast_R, found.mass_R, found.rows, settings)
    d_pairs = matmul.operand(pair_gradient(d_kept_RNJ, d_sum_R, found.pairs))
    # s_ij = z_i · z_j / τ: the gradient of z as a row, and that of z as a column
    d_z = matmul.bmm(matmul.operand(found.all_RDJ), d_pairs.transpose(1, 2)).div_(temperature_R11)
    d_z += group.scatter(matmul.bmm(matmul.operand(found.scaled_RDN), d_pairs), 2)
    if found.length_R1N is not None:
        d_z = unit_backward(d_z, found.z_RDN, found.length_R1N, settings.cosine_R)
    return d_z
