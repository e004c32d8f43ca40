"""What a stage came to nothing by."""

from __future__ import annotations

import errno

import pyarrow as pa
import pytest
import torch
from training_cases import TABLES_OF, pretrain_request

from scmmlab.errors import CorpusError, DivergedError, TrainingError
from scmmlab.training import Reporter
from scmmlab.training.failure_cause import describe, failure_cause
from scmmlab.training.memory import too_large_alone
from scmmlab.training.stages import run_pretrain_stage


def raised_from(cause: Exception) -> Exception:
    try:
        raise RuntimeError("the stage broke") from cause
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried ..."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
        pa.ArrowMemoryError("malloc of size 4294967296 failed"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        too_large_alone("k", MemoryError()),
        raised_from(MemoryError()),
    ],
    ids=repr,
)
def test_want_of_memory_is_told_from_other_errors(error):
    assert failure_cause(error) == "out_of_memory"


@pytest.mark.parametrize(
    "error", [KeyError("memory"), TrainingError("no encoder"), OSError(errno.ENOENT, "no file"), RuntimeError("shape")]
)
def test_an_error_like_any_other_is_one(error):
    assert failure_cause(error) == "error"


def test_divergence_is_told_where_it_happens():
    assert failure_cause(DivergedError("the loss is nan")) == "diverged"
    (failure,) = run_pretrain_stage([pretrain_request(contrast={"temperature": 1e-38})], TABLES_OF, Reporter())
    assert failure.cause == "diverged"


def test_line_is_the_last_one_of_the_trace_but_for_what_a_user_can_mend():
    assert describe(KeyError("x")) == "KeyError: 'x'"
    assert describe(ValueError("two\nlines")) == "ValueError: two lines"
    assert describe(MemoryError()) == "MemoryError"
    assert describe(CorpusError("No such corpus.", hint="look")) == "No such corpus. Hint: look"
