"""What projections are compared by: their product, or their cosine, which is that of projections of length 1.

Legend: R replica, D width, N row.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_LENGTH = 1e-12
"""A projection of zeros stays one."""


def unit_projections(z_RDN: Tensor, cosine_R: Tensor) -> tuple[Tensor, Tensor]:
    """Projections divided by their length, of replicas with cosines, the others as they are; and the lengths [R, 1, N].

    Parameters
    ----------
    z_RDN : Tensor
        Projections, rows last.
    cosine_R : Tensor, bool
        Replicas that compare them by cosine.
    """
    length_R1N = torch.linalg.vector_norm(z_RDN, dim=1, keepdim=True).clamp_(min=LEAST_LENGTH)
    return torch.where(cosine_R[:, None, None], z_RDN / length_R1N, z_RDN), length_R1N


def unit_backward(d_unit_RDN: Tensor, unit_RDN: Tensor, length_R1N: Tensor, cosine_R: Tensor) -> Tensor:
    """The gradient of projections, (d − ẑ (ẑ·d)) / |z|, from that of what `unit_projections` gave."""
    along_R1N = (d_unit_RDN * unit_RDN).sum(1, keepdim=True)
    d_z = (d_unit_RDN - unit_RDN * along_R1N) / length_R1N
    return torch.where(cosine_R[:, None, None], d_z, d_unit_RDN)
