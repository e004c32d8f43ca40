"""The classification loss and its gradient.

L = −1/B Σ_i log p_i[y_i], ∂L/∂logits = (p − one-hot(y)) / B, over the B windows that count.

Legend: R replica, K class, B window.
"""

from __future__ import annotations

from torch import Tensor


def cross_entropy(logits_RKB: Tensor, label_RB: Tensor, row_mask_RB: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and its gradient.

    Parameters
    ----------
    logits_RKB : Tensor, shape=(R, K, B)
        Class logits.
    label_RB : Tensor, int64, shape=(R, B)
        Classes; of windows that do not count any class will do.
    row_mask_RB : Tensor, bool, shape=(R, B), or None
        Windows that count; all when None.

    Returns
    -------
    loss_R : Tensor, shape=(R,)
        0 for a replica without windows that count.
    grad_RKB : Tensor, shape=(R, K, B)
        Gradient of each replica's loss.
    """
    label_R1B = label_RB.unsqueeze(1)
    log_p_RKB = logits_RKB.log_softmax(1)
    picked_RB = log_p_RKB.gather(1, label_R1B).squeeze(1)
    if row_mask_RB is None:
        share_R1B = picked_RB.new_full((1, 1, 1), 1 / picked_RB.shape[1])
        loss_R = -picked_RB.mean(1)
    else:
        weight_RB = row_mask_RB.to(picked_RB.dtype)
        # without windows that count the sum is 0, and so is the loss
        count_R1 = weight_RB.sum(1, keepdim=True).clamp_(min=1)
        share_R1B = (weight_RB / count_R1).unsqueeze(1)
        loss_R = -(picked_RB * weight_RB).sum(1) / count_R1.squeeze(1)
    grad_RKB = log_p_RKB.exp_()
    grad_RKB.scatter_add_(1, label_R1B, grad_RKB.new_full((1, 1, 1), -1).expand_as(label_R1B))
    return loss_R, grad_RKB.mul_(share_R1B)
