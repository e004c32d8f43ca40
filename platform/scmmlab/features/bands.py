"""The frequency bands of a feature table, half-open intervals [low, high) in Hz."""

from __future__ import annotations

from collections.abc import Mapping

from scmmlab.errors import CorpusError

Bands = Mapping[str, tuple[float, float]]

DEFAULT_BANDS: dict[str, tuple[float, float]] = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 14.0),
    "beta": (14.0, 31.0),
    "gamma": (31.0, 50.0),
}
"""The bands of SEED's own features."""


def check_bands(bands: Bands, sampling_rate: float) -> None:
    """Raise a `CorpusError` unless every band lies above 0 Hz and below half of `sampling_rate` (Hz)."""
    for name, (low, high) in bands.items():
        if not 0 < low < high < sampling_rate / 2:
            raise CorpusError(
                f"Invalid band '{name}': expected 0 < low < high < {sampling_rate / 2:g} Hz, half of the sampling "
                f"rate, got {low:g} to {high:g} Hz."
            )
