"""MATLAB files as SEED's authors write them, of version 5 and 7.3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MatlabVersion = Literal["v5", "v7.3"]
FEATURE_KINDS = ("de", "psd")
ASYMMETRIES = {"dasm": 27, "rasm": 27, "asm": 54, "dcau": 23}
"""Other shipped features and their rows: differences and ratios of opposite electrodes."""
_SHIPPED_MEAN, _SHIPPED_SPREAD = 16.0, 2.5


def write_matlab(path: Path, variables: Mapping[str, NDArray[np.float64]], version: MatlabVersion) -> Path:
    """Write numbers as MATLAB's `save` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if version == "v5":
        from scipy.io import savemat

        savemat(path, dict(variables))
        return path
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            # MATLAB's dimensions are those of HDF5 backwards
            file.create_dataset(name, data=np.ascontiguousarray(value.T)).attrs["MATLAB_class"] = np.bytes_("double")
    header = b"MATLAB 7.3 MAT-file, Platform: PCWIN64, Created on: Sun Oct 27 12:00:00 2013 HDF5 schema 1.00 ."
    with path.open("r+b") as block:
        block.write(header.ljust(124) + b"\x00\x02IM")
    return path


def shipped_form(entropies_WCF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropies in the range of the shipped ones (about 11 to 27), shape=(n_channels, n_windows, n_bands)."""
    return _SHIPPED_MEAN + _SHIPPED_SPREAD * (entropies_WCF.transpose(1, 0, 2) - 2.3)


def feature_variables(
    number: int, entropies_WCF: NDArray[np.float64], smoothed: Mapping[str, NDArray[np.float64]], small: bool
) -> dict[str, NDArray[np.float64]]:
    """The variables of one trial.

    Parameters
    ----------
    number : int
        Number of the trial.
    entropies_WCF : array, shape=(n_windows, n_channels, n_bands)
        Before smoothing.
    smoothed : dict of str to array
        The same by the kind of smoothing, as variables' names have it.
    small : bool
        Whether the asymmetries are left out.
    """
    variables = {}
    for kind in FEATURE_KINDS:
        for smoothing, values_WCF in smoothed.items():
            shipped = shipped_form(values_WCF)
            variables[f"{kind}_{smoothing}{number}"] = shipped if kind == "de" else 2.0**shipped
    if not small:
        rows = len(entropies_WCF[0])
        for kind, count in ASYMMETRIES.items():
            for smoothing, values_WCF in smoothed.items():
                shipped = shipped_form(values_WCF)
                pairs = np.arange(count)
                variables[f"{kind}_{smoothing}{number}"] = shipped[pairs] - shipped[rows - 1 - pairs]
    return variables
