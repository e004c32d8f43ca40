"""What running out of memory looks like, and how to let go of what was lost."""

from __future__ import annotations

import gc
import sys
import traceback

CPU_WORDS = ("can't allocate memory", "not enough memory", "bad_alloc", "unable to mmap")
"""What PyTorch says on a CPU, where it raises a plain RuntimeError, on Linux, on Windows and from C++."""


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that there was no memory left, on a GPU or on the host."""
    torch = sys.modules.get("torch")  # takes seconds to import, and is imported where its errors are raised
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in CPU_WORDS)


def drop_frames(error: BaseException) -> None:
    """Free what `error` keeps alive: the tensors of the step that raised it are locals of the frames of its trace.

    The trace can still be printed afterwards.
    """
    linked: BaseException | None = error
    while linked is not None:
        traceback.clear_frames(linked.__traceback__)
        linked = linked.__cause__ or linked.__context__
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
