"""How exactly a GPU multiplies float32 matrices, said aloud: another part of the process may have set it otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from scmmlab.errors import ResourceError

PRECISIONS = {"float32": "highest", "tf32": "high", "bf16": "highest"}
"""Ours → PyTorch's words. TF32 keeps 10 of 23 bits of each factor: relative errors of about 5·10⁻⁴ a product. With bf16
(`scmmlab.replica.matmul`) the factors are rounded before; what is not rounded is multiplied as it is."""


def check_precision(precision: str, device: str) -> None:
    """Refuse a precision that the device does not have.

    Raises
    ------
    ResourceError
        For TF32 without a GPU.
    """
    if precision == "tf32" and device == "cpu":
        raise ResourceError(
            "Precision 'tf32' is one of GPUs, but the device is 'cpu'.", hint="use --device cuda, or leave it out."
        )


@contextmanager
def multiplications(precision: str = "float32") -> Iterator[None]:
    """Within the block float32 matrices are multiplied so; what was set before is set again after it.

    Parameters
    ----------
    precision : {"float32", "tf32", "bf16"}
        A graph that is captured in the block multiplies so for ever.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(PRECISIONS[precision])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
