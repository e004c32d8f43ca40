"""Where electrodes lie on the head: the 10-10 system, and how near two of them are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray

from scmmlab.errors import SpecError

_TABLE = """
Fp1 -29.4367 83.9171 -6.99, Fpz 0.1123 88.247 -1.713, Fp2 29.8723 84.8959 -7.08, AF9 -48.9708 64.0872 -47.683,
AF7 -54.8397 68.5722 -10.59, AF5 -45.4307 72.8622 5.978, AF3 -33.7007 76.8371 21.227, AF1 -18.4717 79.9041 32.752,
AFz 0.2313 80.771 35.417, AF2 19.8203 80.3019 32.764, AF4 35.7123 77.7259 21.956, AF6 46.5843 73.8078 6.034,
AF8 55.7433 69.6568 -10.755, AF10 50.4352 63.8698 -48.005, F9 -70.1019 41.6523 -49.952, F7 -70.2629 42.4743 -11.42,
F5 -64.4658 48.0353 16.921, F3 -50.2438 53.1112 42.192, F1 -27.4958 56.9311 60.342, Fz 0.3122 58.512 66.462,
F2 29.5142 57.6019 59.54, F4 51.8362 54.3048 40.814, F6 67.9142 49.8297 16.367, F8 73.0431 44.4217 -12,
F10 72.1141 42.0667 -50.452, FT9 -84.0759 14.5673 -50.429, FT7 -80.775 14.1203 -11.135, FC5 -77.2149 18.6433 24.46,
FC3 -60.1819 22.7162 55.544, FC1 -34.0619 26.0111 79.987, FCz 0.3761 27.39 88.668, FC2 34.7841 26.4379 78.808,
FC4 62.2931 23.7228 55.63, FC6 79.5341 19.9357 24.438, FT8 81.8151 15.4167 -11.33, FT10 84.1131 14.3647 -50.538,
T9 -85.8941 -15.8287 -48.283, T7 -84.1611 -16.0187 -9.346, C5 -80.2801 -13.7597 29.16, C3 -65.3581 -11.6317 64.358,
C1 -36.158 -9.9839 89.752, Cz 0.4009 -9.167 100.244, C2 37.672 -9.6241 88.412, C4 67.1179 -10.9003 63.58,
C6 83.4559 -12.7763 29.208, T8 85.0799 -15.0203 -9.49, T10 85.5599 -16.3613 -48.271, TP9 -85.6192 -46.5147 -45.707,
TP7 -84.8302 -46.0217 -7.056, CP5 -79.5922 -46.5507 30.949, CP3 -63.5562 -47.0088 65.624,
CP1 -35.5131 -47.2919 91.315, CPz 0.3858 -47.318 99.432, CP2 38.3838 -47.0731 90.695, CP4 66.6118 -46.6372 65.58,
CP6 83.3218 -46.1013 31.206, TP8 85.5488 -45.5453 -7.13, TP10 86.1618 -47.0353 -45.869, P9 -73.0093 -73.7657 -40.998,
P7 -72.4343 -73.4527 -2.487, P5 -67.2723 -76.2907 28.382, P3 -53.0073 -78.7878 55.94, P1 -28.6203 -80.5249 75.436,
Pz 0.3247 -81.115 82.615, P2 31.9197 -80.4871 76.716, P4 55.6667 -78.5602 56.561, P6 67.8877 -75.9043 28.091,
P8 73.0557 -73.0683 -2.54, P10 73.8947 -74.3903 -41.22, PO9 -54.9104 -98.0448 -35.465, PO7 -54.8404 -97.5279 2.792,
PO5 -48.4244 -99.3408 21.599, PO3 -36.5114 -100.8529 37.167, PO1 -18.9724 -101.768 46.536, POz 0.2156 -102.178 50.608,
PO2 19.8776 -101.793 46.393, PO4 36.7816 -100.8491 36.397, PO6 49.8196 -99.4461 21.727, PO8 55.6666 -97.6251 2.73,
PO10 54.9876 -98.0911 -35.541, O1 -29.4134 -112.449 8.839, Oz 0.1076 -114.892 14.657, O2 29.8426 -112.156 8.8,
I1 -29.8184 -114.57 -29.216, Iz 0.0045 -118.565 -23.078, I2 29.7416 -114.26 -29.256, POO7 -42.9764 -106.493 5.773,
POO8 43.6696 -106.599 5.726
"""
# Standard positions, those of MNE's montage "standard_1005" (R. Oostenveld's 10-5 template on the Colin27 head): name,
# x to the right, y to the front, z up, in mm. As numbers, since results must not change with a version of MNE.

POSITIONS: dict[str, tuple[float, float, float]] = {}
"""Electrode → (x, y, z) in mm, from ear to ear, to the front, up."""
for _entry in _TABLE.split(","):
    _name, _x, _y, _z = _entry.split()
    POSITIONS[_name] = (float(_x), float(_y), float(_z))

OTHER_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8", "CB1": "POO7", "CB2": "POO8"}
"""Former names, and those of the cerebellar electrodes of SEED's cap."""


def some_channels(count: int) -> tuple[str, ...]:
    """Names of so many channels, to measure with where nobody has named them."""
    return tuple(islice(cycle(POSITIONS), count))


_CANONICAL = {name.upper(): name for name in POSITIONS}


def canonical_names(channels: Sequence[str], needed_by: str) -> list[str]:
    """The channels' names in the 10-10 system; large and small letters are alike.

    Parameters
    ----------
    channels : sequence of str
        Names of a table.
    needed_by : str
        The setting that asks where they lie, for the error.

    Raises
    ------
    SpecError
        If one of them is no electrode of the system.
    """
    found = []
    for channel in channels:
        name = channel.upper()
        known = _CANONICAL.get(OTHER_NAMES.get(name, name).upper())
        if known is None:
            raise SpecError(
                f"'{needed_by}' needs to know where each channel lies, so each must have a name of the 10-10 system, "
                f"found '{channel}'.",
                hint="choose channels that have such names, or name those of the table so.",
            )
        found.append(known)
    return found


def positions_mm(channels: Sequence[str], needed_by: str) -> NDArray[np.float64]:
    """Positions [C, 3] in mm; parameters and errors as of `canonical_names`."""
    return np.array([POSITIONS[name] for name in canonical_names(channels, needed_by)], dtype=np.float64).reshape(-1, 3)


def distance_weights(channels: Sequence[str], needed_by: str, delta_cm2: float = 5.0) -> NDArray[np.float64]:
    """Weights [C, C] that fall with the square of the distance (Zhong et al. 2020): min(1, δ / d²), 1 on the diagonal.

    Parameters
    ----------
    channels, needed_by
        As of `canonical_names`.
    delta_cm2 : float
        δ in cm². With 5, as in the released code, 17 % of the weights of SEED's 62 electrodes exceed 0.1.
    """
    at_cm = positions_mm(channels, needed_by) / 10
    squared = ((at_cm[:, None] - at_cm[None]) ** 2).sum(-1)
    # written so that it holds for d = 0 too
    weights: NDArray[np.float64] = delta_cm2 / np.maximum(squared, delta_cm2)
    return weights
