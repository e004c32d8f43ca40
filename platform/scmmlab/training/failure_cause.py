"""What a stage came to nothing by, and in one line, told from the error that it raised."""

from __future__ import annotations

import errno

from scmmlab.errors import DivergedError, FailureCause, MemoryShortageError, ScmmlabError
from scmmlab.replica.shortage import out_of_memory

GPU_WORDS = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What CUDA and its libraries say where PyTorch raises a plain RuntimeError."""


def failure_cause(error: BaseException) -> FailureCause:
    """The cause of a failure, by the error or by one that it was raised from."""
    linked: BaseException | None = error
    while linked is not None:
        if isinstance(linked, DivergedError):
            return "diverged"
        if isinstance(linked, MemoryShortageError) or _no_memory(linked):
            return "out_of_memory"
        linked = linked.__cause__
    return "error"


def describe(error: BaseException) -> str:
    """`error` in one line, as the last line of its trace has it; what a user can mend without the name of its type."""
    text = " ".join(f"{error}".split())
    if isinstance(error, ScmmlabError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _no_memory(error: BaseException) -> bool:
    if out_of_memory(error):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error) for words in GPU_WORDS)
