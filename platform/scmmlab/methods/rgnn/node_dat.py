"""NodeDAT: a domain classifier of every electrode, behind gradient reversal (Zhong et al. 2020).

No study can have it: it asks for unlabelled windows of the target, and the method is given none yet. It is here as a
loss, which the golden vectors check.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scmmlab.methods.gradient_reversal import reverse_gradient
from scmmlab.methods.network import Tensors, cross_entropy, linear

DOMAIN_CLASSIFIER = "domain_classifier"
"""Name of the layer from the features of an electrode to two domains."""


def domain_logits(tensors: Tensors, h_RBCH: Tensor, beta: float) -> Tensor:
    """Logits of source and target for each electrode, [R, B, C, 2].

    Parameters
    ----------
    tensors : mapping
        With the weights of the domain classifier.
    h_RBCH : Tensor, shape=(R, B, C, H)
        Features of electrodes.
    beta : float
        Strength of the reversal, `gradient_reversal.reversal_strength`.
    """
    flat_RNH = reverse_gradient(h_RBCH, beta).flatten(1, 2)
    replicas, windows, electrodes, _ = h_RBCH.shape
    return linear(tensors, DOMAIN_CLASSIFIER, flat_RNH).reshape(replicas, windows, electrodes, 2)


def domain_loss(logits_RBC2: Tensor, domain: int) -> Tensor:
    """Mean cross-entropy [R] over the electrodes of windows that are all of one domain: 0 the source, 1 the target."""
    logits_RN2 = logits_RBC2.flatten(1, 2)
    label_RN = torch.full(logits_RN2.shape[:2], domain, dtype=torch.int64, device=logits_RN2.device)
    return cross_entropy(logits_RN2, label_RN, torch.ones_like(label_RN, dtype=torch.bool))
