"""The network of DGCNN (Song et al. 2018, IEEE Transactions on Affective Computing 11, 532-541).

y = ReLU(Σ_j T_j(M) x Θ_j + b), logits = W₁ φ(W₀ vec(y) + b₀) + b₁: a polynomial in a matrix M of the graph mixes
electrodes, and two dense layers follow.

| symbol | meaning | shape |
|---|---|---|
| x | a window | [C, F] |
| A, W | what is learned, the weights of the links | [C, C] |
| d, S | degrees d_i = Σ_j W_ij; D^-½ W D^-½ | [C], [C, C] |
| Θ_j | filter of term j | [F, H] |
| R, B, K | replicas, windows, classes | |
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scmmlab.methods.contract import InputShape
from scmmlab.methods.dgcnn.spec import DgcnnSpec
from scmmlab.methods.electrodes import distance_weights
from scmmlab.methods.network import Mode, Network, Tensors, linear
from scmmlab.replica.parameters import Parameters, Sizes, initialise, linear_sizes, norm_sizes
from scmmlab.replica.random import uniform

DEGREE_EPSILON = {"paper": 1e-5, "libeer": 1e-5, "torcheeg": 1e-10}
"""Added to degrees: an electrode whose links are all 0 would be divided by 0. The released codes' numbers."""


class DgcnnNetwork(Network):
    """DGCNN at these settings, for windows of this shape."""

    def __init__(self, spec: DgcnnSpec, shape: InputShape):
        self._spec, self._shape = spec, shape
        self._terms = spec.order if spec.uses_graph else 1
        self._learned = spec.uses_graph and spec.adjacency == "learned"
        self._weights_CC: Tensor | None = None
        """W, where it is fixed."""
        if spec.uses_graph and spec.adjacency == "distance":
            self._weights_CC = torch.from_numpy(distance_weights(shape.names, "adjacency: distance"))

    def sizes(self) -> Sizes:
        """Name → shape."""
        spec, shape = self._spec, self._shape
        sizes: Sizes = {}
        if self._learned:
            sizes["adjacency"] = (shape.channels, shape.channels)
            if spec.laplacian == "libeer":
                sizes["adjacency_bias"] = (1,)
        if spec.band_norm:
            sizes |= norm_sizes("band_norm", shape.bands)
        # the filters of the terms one below the other
        sizes["theta"] = (self._terms * shape.bands, spec.hidden)
        if spec.hidden_bias:
            sizes["hidden_bias"] = (spec.hidden,)
        return (
            sizes
            | linear_sizes("dense_0", shape.channels * spec.hidden, spec.dense)
            | linear_sizes("dense_1", spec.dense, shape.classes)
        )

    def initialise(self, parameters: Parameters, seed_R: Tensor) -> None:
        """Dense layers as PyTorch's; A and Θ uniform within ± √(6 / (rows + columns)) (Glorot & Bengio 2010)."""
        initialise(parameters, seed_R)
        for name in ("adjacency", "theta") if self._learned else ("theta",):
            rows, columns = parameters.sizes[name]
            drawn = uniform(seed_R, f"initial {name}", 0, 0, rows * columns).to(parameters.values.dtype)
            parameters[name].copy_(((2 * drawn - 1) * math.sqrt(6 / (rows + columns))).view(-1, rows, columns))

    def logits(self, tensors: Tensors, x_RBCF: Tensor, mode: Mode) -> Tensor:
        """Class logits [R, B, K]."""
        spec = self._spec
        if spec.band_norm:
            x_RBCF = mode.batch_norm(tensors, "band_norm", x_RBCF.flatten(1, 2)).view_as(x_RBCF)
        u_RBCH = mode.dropout(self.filtered(tensors, x_RBCF), spec.dropout)
        if spec.hidden_bias:
            u_RBCH = u_RBCH + tensors["hidden_bias"][:, None, None]
        flat_RBI = mode.dropout(u_RBCH.relu_().flatten(2), spec.dropout)
        dense_RBO = linear(tensors, "dense_0", flat_RBI)
        if spec.nonlinearity == "relu":
            dense_RBO.relu_()
        return linear(tensors, "dense_1", mode.dropout(dense_RBO, spec.dropout))

    def filtered(self, tensors: Tensors, x_RBCF: Tensor) -> Tensor:
        """Σ_j T_j(M) x Θ_j, [R, B, C, H]."""
        replicas, windows, channels, bands = x_RBCF.shape
        # M mixes the rows of one matrix that has all windows side by side
        terms = self.polynomial(tensors, x_RBCF.transpose(1, 2).reshape(replicas, channels, windows * bands))
        stacked = torch.stack([term.view(replicas, channels, windows, bands) for term in terms], 3)
        # windows come first again while there are few numbers: features are many more than bands
        x_RNI = stacked.transpose(1, 2).reshape(replicas, windows * channels, -1)
        return torch.bmm(x_RNI, tensors["theta"]).view(replicas, windows, channels, -1)

    def polynomial(self, tensors: Tensors, x_RCN: Tensor) -> list[Tensor]:
        """T_j(M) x of each term: Chebyshev's T_j = 2 M T_{j−1} − T_{j−2}, or powers for torcheeg's form."""
        terms = [x_RCN]
        if self._terms > 1:
            matrix_RCC = self.matrix(tensors, x_RCN)
            terms.append(torch.bmm(matrix_RCC, x_RCN))
            while len(terms) < self._terms:
                following = torch.bmm(matrix_RCC, terms[-1])
                terms.append(following if self._spec.laplacian == "torcheeg" else 2 * following - terms[-2])
        return terms

    def matrix(self, tensors: Tensors, like: Tensor) -> Tensor:
        """M, [R, C, C]; `like` has its type and device.

        - `paper`: 2 L / λ_max − I with λ_max at its bound 2, so −S. The eigenvalues of S are those of D⁻¹ W, whose rows
          sum to 1, so they lie in the unit disc, as Chebyshev polynomials want them, however asymmetric W is.
        - `libeer`: L = I − S, with a scalar b in W = ReLU(A + b).
        - `torcheeg`: S.
        """
        form = self._spec.laplacian
        if self._weights_CC is None:
            w_RCC = tensors["adjacency"]
            if form == "libeer":
                w_RCC = w_RCC + tensors["adjacency_bias"].unsqueeze(-1)
            w_RCC = w_RCC.relu()
        else:
            self._weights_CC = self._weights_CC.to(like.device)
            w_RCC = self._weights_CC.to(like.dtype).expand(len(like), -1, -1)
        # a root and a division, which round the same wherever a number lies; a reciprocal root need not
        inverse_RC = 1 / (w_RCC.sum(-1) + DEGREE_EPSILON[form]).sqrt()
        s_RCC = inverse_RC.unsqueeze(-1) * w_RCC * inverse_RC.unsqueeze(-2)
        if form == "torcheeg":
            return s_RCC
        if form == "paper":
            return -s_RCC
        return torch.eye(s_RCC.shape[-1], device=like.device, dtype=like.dtype) - s_RCC

    def penalise(self, parameters: Parameters) -> Tensor | None:
        """λ Σ ‖p‖₂ over the learned tensors, whose gradient is λ p / ‖p‖₂, and 0 at p = 0."""
        strength = self._spec.sparse_l2
        if strength == 0:
            return None
        norms = []
        for name, gradient in parameters.gradients.items():
            norm_R = torch.linalg.vector_norm(parameters[name].flatten(1), dim=1)
            slope_R = torch.where(norm_R == 0, 0.0, strength / norm_R)
            gradient.addcmul_(parameters[name], slope_R.view(-1, *[1] * (gradient.dim() - 1)))
            norms.append(norm_R)
        return strength * torch.stack(norms).sum(0)
