"""Matrix multiplications at the precision of a pack.

float32 multiplies numbers as they are. bf16 rounds the operands to 8 binary digits, which a processor with AMX or
AVX512-BF16 multiplies several times as fast; products are summed in float32, and each result is rounded once more,
since PyTorch has no multiplication on a CPU that takes bf16 and gives float32. Only products are rounded: parameters,
statistics, distances, similarities, softmax, losses and Adam stay in the pack's own type.

Legend: R replica; M, K and N rows, shared dimension and columns of a product.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from scmmlab.config.experiment import Precision


class Matmul(Protocol):
    """How operands are rounded and multiplied."""

    def operand(self, x: Tensor) -> Tensor:
        """`x` as it enters products; one that enters several is rounded once."""

    def bmm(self, a_RMK: Tensor, b_RKN: Tensor, out_RMN: Tensor | None = None) -> Tensor:
        """The product of two operands in the pack's own type, [R, M, N], written to `out_RMN` if there is one."""

    def baddbmm(self, c_RMN: Tensor, a_RMK: Tensor, b_RKN: Tensor) -> Tensor:
        """Sum c + a b, in new memory; c may have one row, or one column, for all."""

    def baddbmm_(self, c_RMN: Tensor, a_RMK: Tensor, b_RKN: Tensor) -> Tensor:
        """Sum c + a b, in the memory of c."""


class Exact:
    """Operands as they are."""

    def operand(self, x: Tensor) -> Tensor:
        """`x` itself."""
        return x

    def bmm(self, a_RMK: Tensor, b_RKN: Tensor, out_RMN: Tensor | None = None) -> Tensor:
        """The product."""
        return torch.bmm(a_RMK, b_RKN) if out_RMN is None else torch.bmm(a_RMK, b_RKN, out=out_RMN)

    def baddbmm(self, c_RMN: Tensor, a_RMK: Tensor, b_RKN: Tensor) -> Tensor:
        """Sum c + a b."""
        return torch.baddbmm(c_RMN, a_RMK, b_RKN)

    def baddbmm_(self, c_RMN: Tensor, a_RMK: Tensor, b_RKN: Tensor) -> Tensor:
        """Sum c + a b."""
        return c_RMN.baddbmm_(a_RMK, b_RKN)


class Bf16:
    """Operands and results of 8 binary digits."""

    def operand(self, x: Tensor) -> Tensor:
        """`x`, rounded."""
        return x.to(torch.bfloat16)

    def bmm(self, a_RMK: Tensor, b_RKN: Tensor, out_RMN: Tensor | None = None) -> Tensor:
        """The product, rounded."""
        rounded = torch.bmm(a_RMK, b_RKN)
        return rounded.to(torch.float32) if out_RMN is None else out_RMN.copy_(rounded)

    def baddbmm(self, c_RMN: Tensor, a_RMK: Tensor, b_RKN: Tensor) -> Tensor:
        """Sum c + a b, of which the product is rounded."""
        return self.bmm(a_RMK, b_RKN).add_(c_RMN)

    def baddbmm_(self, c_RMN: Tensor, a_RMK: Tensor, b_RKN: Tensor) -> Tensor:
        """Sum c + a b, of which the product is rounded."""
        return c_RMN.add_(self.bmm(a_RMK, b_RKN))


FLOAT32: Matmul = Exact()
BF16: Matmul = Bf16()
MATMULS: dict[Precision, Matmul] = {"float32": FLOAT32, "bf16": BF16}
"""By the setting's name."""
