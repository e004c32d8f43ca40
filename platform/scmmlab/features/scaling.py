"""Scaling of each feature by numbers that were fitted on what may be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.config.experiment import ScalingKind


@dataclass(frozen=True, eq=False)
class Scaler:
    """An affine map per feature, a feature being one band of one channel: (x − offset) / span.

    Parameters
    ----------
    kind : str
        `min_max` takes the fitted windows to [0, 1], `standard` to mean 0 and standard deviation 1 (divided by n),
        `none` leaves them.
    offset, span : array, shape=(n_channels, n_bands)
        The map, in float64.
    """

    kind: ScalingKind
    offset: NDArray[np.float64]
    span: NDArray[np.float64]

    @classmethod
    def fit(cls, kind: ScalingKind, features: NDArray[np.floating[Any]]) -> Scaler:
        """The scaler of these windows.

        Parameters
        ----------
        kind : {"min_max", "standard", "none"}
            What the fitted windows shall look like.
        features : array, shape=(n_windows, n_channels, n_bands)
            Only what the protocol lets be seen.

        Raises
        ------
        ValueError
            If there is no window to fit on, or `kind` is unknown.
        """
        if not len(features):
            raise ValueError("a scaler needs at least one window")
        x = features.astype(np.float64)
        if kind == "min_max":
            offset = x.min(axis=0)
            span = x.max(axis=0) - offset
        elif kind == "standard":
            offset = x.mean(axis=0)
            span = x.std(axis=0)
            # the standard deviation of equal numbers is not exactly 0 where their mean is rounded
            span[np.ptp(x, axis=0) == 0] = 0.0
        elif kind == "none":
            offset = np.zeros(x.shape[1:])
            span = np.ones(x.shape[1:])
        else:
            raise ValueError(f"kind must be 'min_max', 'standard' or 'none', got {kind!r}")
        # a feature that was constant says nothing; divided by 1 it becomes 0 there and stays finite elsewhere
        return cls(kind, offset, np.where(span > 0, span, 1.0))

    def transform(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Scale windows, shape=(n_windows, n_channels, n_bands), computing in float64 and returning float32."""
        scaled: NDArray[np.float32] = ((features.astype(np.float64) - self.offset) / self.span).astype(np.float32)
        return scaled

    def state(self) -> dict[str, Any]:
        """What `from_state` needs to make this scaler again, as plain JSON values."""
        return {"kind": self.kind, "offset": self.offset.tolist(), "span": self.span.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Scaler:
        """The scaler that gave this state, to the last bit."""
        return cls(
            state["kind"],
            np.asarray(state["offset"], dtype=np.float64),
            np.asarray(state["span"], dtype=np.float64),
        )
