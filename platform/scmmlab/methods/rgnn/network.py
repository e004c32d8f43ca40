"""The network of RGNN (Zhong et al. 2020, IEEE Transactions on Affective Computing 13, 1290-1301).

h = ReLU(S^k x Wᵀ + b), logits = V Σ_c h_c + v: electrodes mix k times along a symmetric graph, whose features are then
summed over electrodes.

| symbol | meaning | shape |
|---|---|---|
| x | a window | [C, F] |
| A | links, symmetric, of either sign; its lower triangle is learned | [C, C] |
| S | D^-½ A D^-½ with D_i = Σ_j abs(A_ij) | [C, C] |
| W, b | the graph convolution | [H, F], [H] |
| R, B, K | replicas, windows, classes | |
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from scmmlab.methods.contract import InputShape
from scmmlab.methods.network import Mode, Network, Tensors, linear, mean_of_real
from scmmlab.methods.rgnn.emotion_labels import soft_labels
from scmmlab.methods.rgnn.links import initial_adjacency, triangle_places
from scmmlab.methods.rgnn.spec import RgnnSpec
from scmmlab.replica.parameters import Parameters, Sizes, initialise, linear_sizes


class RgnnNetwork(Network):
    """RGNN at these settings, for windows of this shape."""

    def __init__(self, spec: RgnnSpec, shape: InputShape):
        self._spec, self._shape = spec, shape
        self._start_CC: Tensor | None = None
        """What A begins as, or is where it is not learned."""
        if spec.uses_graph:
            start = initial_adjacency(shape.names, spec.cross_links, f"adjacency: {spec.adjacency}")
            self._start_CC = torch.from_numpy(start)
        self._places_CC = triangle_places(shape.channels)
        self._soft_KK = soft_labels(shape.classes, spec.noise)

    def sizes(self) -> Sizes:
        """Name → shape."""
        spec, shape = self._spec, self._shape
        sizes: Sizes = {}
        if spec.learns_graph:
            sizes["adjacency_lower"] = (shape.channels * (shape.channels + 1) // 2,)
        return (
            sizes
            | linear_sizes("conv", shape.bands, spec.hidden)
            | linear_sizes("classifier", spec.hidden, shape.classes)
        )

    def initialise(self, parameters: Parameters, seed_R: Tensor) -> None:
        """Links by distance, the same for all; layers as PyTorch's."""
        initialise(parameters, seed_R)
        if self._spec.learns_graph:
            assert self._start_CC is not None, "a graph that is learned has a start"
            rows, columns = torch.tril_indices(*self._start_CC.shape)
            lower = parameters["adjacency_lower"]
            lower.copy_(self._start_CC[rows, columns].to(lower))

    def logits(self, tensors: Tensors, x_RBCF: Tensor, mode: Mode) -> Tensor:
        """Class logits [R, B, K]."""
        pooled_RBH = self.node_features(tensors, x_RBCF).sum(2)
        return linear(tensors, "classifier", mode.dropout(pooled_RBH, self._spec.dropout))

    def node_features(self, tensors: Tensors, x_RBCF: Tensor) -> Tensor:
        """h, [R, B, C, H]."""
        replicas, windows, channels, bands = x_RBCF.shape
        mixed_RCN = x_RBCF.transpose(1, 2).reshape(replicas, channels, windows * bands)
        if self._spec.uses_graph:
            s_RCC = self.propagation(tensors, mixed_RCN)
            for _ in range(self._spec.depth):
                mixed_RCN = torch.bmm(s_RCC, mixed_RCN)
        # windows come first again while there are few numbers: features are many more than bands
        x_RBCF = mixed_RCN.view(replicas, channels, windows, bands).transpose(1, 2)
        h_RNH = linear(tensors, "conv", x_RBCF.reshape(replicas, windows * channels, bands)).relu_()
        return h_RNH.reshape(replicas, windows, channels, -1)

    def adjacency(self, tensors: Tensors, like: Tensor) -> Tensor:
        """A, [R, C, C]; `like` has its type and device."""
        if not self._spec.learns_graph:
            assert self._start_CC is not None, "a graph that is not learned is given"
            self._start_CC = self._start_CC.to(like.device)
            return self._start_CC.to(like.dtype).expand(len(like), -1, -1)
        self._places_CC = self._places_CC.to(like.device)
        channels = len(self._places_CC)
        return tensors["adjacency_lower"].index_select(1, self._places_CC.flatten()).view(-1, channels, channels)

    def propagation(self, tensors: Tensors, like: Tensor) -> Tensor:
        """S, [R, C, C]. Degrees are of absolute values, since links may be negative."""
        a_RCC = self.adjacency(tensors, like)
        degree_RC = a_RCC.abs().sum(-1)
        # an electrode without links is left out; where its root is not asked for, neither is the root's gradient, 1/0
        linked_RC = degree_RC > 0
        inverse_RC = torch.where(linked_RC, 1 / torch.where(linked_RC, degree_RC, 1.0).sqrt(), 0.0)
        return inverse_RC.unsqueeze(-1) * a_RCC * inverse_RC.unsqueeze(-2)

    def loss(self, logits_RBK: Tensor, label_RB: Tensor, real_RB: Tensor) -> Tensor:
        """−Σ_k t_k log p_k with the soft labels t: the Kullback-Leibler divergence, but for the entropy of t."""
        self._soft_KK = self._soft_KK.to(logits_RBK.device)
        soft_RBK = self._soft_KK.to(logits_RBK.dtype)[label_RB]
        return mean_of_real(-(soft_RBK * log_softmax(logits_RBK, -1)).sum(-1), real_RB)

    def penalise(self, parameters: Parameters) -> Tensor | None:
        """α Σ abs(a) over the links, each of them once, whose gradient is α sign(a)."""
        strength = self._spec.l1
        if strength == 0 or not self._spec.learns_graph:
            return None
        lower = parameters["adjacency_lower"]
        parameters.gradients["adjacency_lower"].add_(lower.sign(), alpha=strength)
        return strength * lower.abs().sum(1)
