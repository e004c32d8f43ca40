"""Differential entropy of a stored signal in a process of its own: `python whole_process.py WAY FOLDER`.

For the benchmark. It runs under any interpreter that has WAY, which is `scmmlab` or `torcheeg`, and prints how many
windows it has done.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def by_scmmlab(signal_CT: Any, sampling_rate: float, bands: dict[str, list[float]]) -> int:
    """The windows of a whole signal, filtered with zero phase before it is cut."""
    extraction = import_module("scmmlab.features.extraction")
    spec = extraction.FeatureSpec(bands=bands)
    return len(extraction.extract_features(signal_CT, sampling_rate, [(0, signal_CT.shape[1])], spec)[0])


def by_torcheeg(signal_CT: Any, sampling_rate: float, bands: dict[str, list[float]]) -> int:
    """The windows one by one, as torcheeg's data sets hand them over: each is filtered by itself, forwards alone."""
    transforms = import_module("torcheeg.transforms")
    transform = transforms.BandDifferentialEntropy(sampling_rate=int(sampling_rate), order=4, band_dict=bands)
    samples = int(sampling_rate)
    windows = signal_CT.shape[1] // samples
    done = [transform(eeg=signal_CT[:, samples * window : samples * (window + 1)])["eeg"] for window in range(windows)]
    return len(done)


if __name__ == "__main__":
    import numpy as np

    way, folder = sys.argv[1], Path(sys.argv[2])
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    work = {"scmmlab": by_scmmlab, "torcheeg": by_torcheeg}[way]
    print(work(np.load(folder / "signal.npy", allow_pickle=False), facts["sampling_rate"], facts["bands"]))
