"""How long a whole process takes from raw to differential entropy here, beside one of torcheeg's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scmmlab.errors import ScmmlabError
from scmmlab.features import whole_process
from scmmlab.features.bands import DEFAULT_BANDS

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def benchmark_torcheeg(
    signal_CT: NDArray[np.float64], sampling_rate: float, python: str | None = None, repeats: int = 2
) -> dict[str, float] | str:
    """Windows a second of whole processes: interpreter, imports, reading the signal, features.

    torcheeg's transform filters each window by itself and forwards alone, so that its numbers are others.

    Parameters
    ----------
    signal_CT : array, shape=(n_channels, n_times)
        In µV.
    sampling_rate : float
        In Hz.
    python : str | None
        An interpreter that has torcheeg; this one when None.
    repeats : int
        Of which the fastest counts, the two taking turns; each process on one thread.

    Returns
    -------
    dict | str
        The rates and their ratio, or why there are none.

    Raises
    ------
    ScmmlabError
        If `python` is given and has no torcheeg that works.
    """
    if python is None and find_spec("torcheeg") is None:
        return "not installed"
    least = {"scmmlab": np.inf, "torcheeg": np.inf}
    windows = 0
    with tempfile.TemporaryDirectory(prefix="scmmlab-bench-") as folder:
        np.save(Path(folder, "signal.npy"), signal_CT)
        Path(folder, "facts.json").write_text(
            json.dumps({"sampling_rate": sampling_rate, "bands": DEFAULT_BANDS}), encoding="utf-8"
        )
        for _ in range(repeats):
            for way in least:
                interpreter = python if way == "torcheeg" and python is not None else sys.executable
                start = time.perf_counter()
                windows = _run(interpreter, way, folder)
                least[way] = min(least[way], time.perf_counter() - start)
    rates = {way: windows / spent for way, spent in least.items()}
    return {
        "windows_per_second": rates["scmmlab"],
        "torcheeg_windows_per_second": rates["torcheeg"],
        "speed_ratio": rates["scmmlab"] / rates["torcheeg"],
    }


def _run(interpreter: str, way: str, folder: str) -> int:
    try:
        done = subprocess.run(
            [interpreter, whole_process.__file__, way, folder],
            env=os.environ | _ONE_THREAD,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise ScmmlabError(
            f"'{interpreter}' cannot run {way}: expected differential entropy by {way}, found "
            f"'{said.strip().splitlines()[-1]}'.",
            "name with --torcheeg the interpreter of an environment in which torcheeg can be imported.",
        ) from error
    # what a library prints while it is imported stands before
    return int(done.stdout.split()[-1])
