"""What a reader hands over: a signal with its trials, or the features that a corpus ships."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.signal_marks import SignalMarks
from scmmlab.errors import CorpusError


@dataclass(frozen=True)
class Stretch:
    """Samples start to stop of a recording, half-open, and what is the matter with them."""

    start: int
    stop: int
    why: str

    def touches(self, start: int, stop: int) -> bool:
        """Whether samples start to stop hold some of these, or go over their place where these are none."""
        return self.start < stop and self.stop > start


@dataclass(frozen=True)
class TrialSpan:
    """A trial as a stretch of a recording: samples start to stop, half-open.

    Parameters
    ----------
    trial, label : int
        Its number, and its class.
    start, stop : int
        Its samples.
    bad : tuple of Stretch
        Samples of it whose windows are left out.
    cut : str
        Why it ends before its time; a trial that was cut may be shorter than a window.
    """

    trial: int
    label: int
    start: int
    stop: int
    bad: tuple[Stretch, ...] = field(default=(), kw_only=True)
    cut: str = field(default="", kw_only=True)

    def moved(self, samples: int) -> TrialSpan:
        """The same trial in a part of the recording that begins so many samples later."""
        bad = tuple(Stretch(each.start - samples, each.stop - samples, each.why) for each in self.bad)
        return replace(self, start=self.start - samples, stop=self.stop - samples, bad=bad)


@dataclass(frozen=True, eq=False)
class Recording:
    """A continuous signal of one subject and session, and where its trials lie in it.

    Filters run over the whole signal before it is cut into trials and windows.

    Parameters
    ----------
    source : str
        The file it was read from, for messages.
    subject, session : int
        Whose it is, and from which day.
    channels : tuple of str
        Names of the rows of the signal.
    sampling_rate : float
        In Hz.
    signal : array, shape=(n_channels, n_times)
        In µV.
    trials : tuple of TrialSpan
        In time order.
    notes : tuple of str
        What a reader of the manifest should know, for example that the recording is shorter than it should be.

    Raises
    ------
    CorpusError
        If the signal holds a NaN or an infinite value, or a channel never changes.
    """

    source: str
    subject: int
    session: int
    channels: tuple[str, ...]
    sampling_rate: float
    signal: NDArray[np.float64]
    trials: tuple[TrialSpan, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.signal.ndim == 2, f"a signal is channels x times, got shape {self.signal.shape}"
        assert len(self.channels) == len(self.signal), "each row of a signal has a name"
        for name, row in zip(self.channels, self.signal, strict=True):
            finite = np.isfinite(row)
            if not finite.all():
                at = int(np.argmin(finite))
                raise CorpusError(
                    f"A value is not finite in {self.source}: expected µV, found {row[at]} in channel {name} at "
                    f"{at / self.sampling_rate:.3f} s."
                )
            if row.size and row.min() == row.max():
                raise CorpusError(
                    f"A channel is flat in {self.source}: expected a signal, found {row[0]:g} µV throughout channel "
                    f"{name}."
                )


@dataclass(frozen=True, eq=False)
class TrialFeatures:
    """The features of one trial, shape=(n_windows, n_channels, n_bands), float32.

    `windows` says which windows of the trial they are, where some are left out; else they are all, from 0 on.
    """

    trial: int
    label: int
    features: NDArray[np.float32]
    windows: NDArray[np.int64] | None = None
    marks: SignalMarks | None = None
    """What the signal is recognised by, where there was one."""


@dataclass(frozen=True, eq=False)
class FeatureRecording:
    """Features of one subject and session that were not computed from a signal here.

    Parameters
    ----------
    source : str
        The file they were read from, for messages.
    subject, session : int
        Whose they are, and from which day.
    channels : tuple of str
        In the order of the features.
    bands : dict of str to (float, float)
        Names and edges in Hz, in the order of the features.
    window_s : float
        Length of a window in s.
    trials : sequence of TrialFeatures
        In time order.
    notes : tuple of str
        What a reader of the manifest should know.
    """

    source: str
    subject: int
    session: int
    channels: tuple[str, ...]
    bands: dict[str, tuple[float, float]]
    window_s: float
    trials: Sequence[TrialFeatures]
    notes: tuple[str, ...] = ()
