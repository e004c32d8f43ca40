"""DEAP's raw recordings: where the music videos lie in a BDF file, and their signals."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.deap_facts import BASELINE_S, CHANNELS, RAW_SAMPLING_RATE, VIDEO, VIDEO_S, VIDEOS
from scmmlab.corpora.edf import MICROVOLTS, read_edf_header
from scmmlab.corpora.edf_samples import physical_values, read_samples
from scmmlab.errors import CorpusError

MARGIN = int(BASELINE_S * RAW_SAMPLING_RATE)
"""Samples that are read before and after a video, so that a filter's ends lie outside of it."""
_LENGTH = int(VIDEO_S * RAW_SAMPLING_RATE)
_SLACK = int(RAW_SAMPLING_RATE)
"""How much before its 60 s are over the code after a video may come."""
_STATUS = re.compile(r"status|(-\d+)?", re.IGNORECASE)
"""What the status channel is called: Status in s01 to s23; nothing in s24 to s32, where from s29 on another signal
without a name stands before it (`-0` and `-1` is what some programs make of the two)."""
_CODE_BITS = 0xFF
"""The code; the bits above it tell of the amplifier, or are pins that nothing is connected to."""


class RawRecording:
    """A subject's session: 40 videos in the order in which they were seen.

    Parameters
    ----------
    path : Path
        A BDF file of `data_original`.

    Raises
    ------
    CorpusError
        If the file is damaged, lacks a channel, or does not have 40 whole videos.
    """

    def __init__(self, path: Path):
        self.path = path
        self._header = read_edf_header(path, every_signal=True)
        self._channels = self._places()
        self._samples = self._header.records * self._header.signals[self._channels[0]].samples_per_record
        onsets, codes = self._events()
        self.codes: Counter[int] = Counter(codes.tolist())
        """How often each code of the status channel stands."""
        self.starts: list[int] = onsets[codes == VIDEO].tolist()
        """The sample at which each video begins."""
        self._check(onsets)

    def video(self, number: int) -> tuple[NDArray[np.float64], int, int]:
        """The signal around a video.

        Parameters
        ----------
        number : int
            The how-manieth it was, from 0.

        Returns
        -------
        signal : array, shape=(32, n_times)
            In µV, in Geneva's order of the channels, less each channel's mean: electrodes have offsets of millivolts.
        start, stop : int
            The samples of the video in it. Before and after it is what was recorded for up to 3 s.
        """
        start = self.starts[number]
        first, last = start - MARGIN, min(start + _LENGTH + MARGIN, self._samples)
        stored_CT = read_samples(self.path, self._header, self._channels, first, last)
        signals = [self._header.signals[place] for place in self._channels]
        signal_CT = np.stack(
            [
                physical_values(signal, stored_T) * MICROVOLTS[signal.unit]
                for signal, stored_T in zip(signals, stored_CT, strict=True)
            ]
        )
        signal_CT -= signal_CT.mean(axis=1, keepdims=True)
        return signal_CT, MARGIN, MARGIN + _LENGTH

    def _places(self) -> list[int]:
        """Where the channels lie, known by their names: the two labs' orders differ."""
        labels = [signal.label.upper() for signal in self._header.signals]
        missing = [name for name in CHANNELS if name.upper() not in labels]
        if missing:
            raise CorpusError(
                f"{self.path} has no channel {', '.join(missing)}: expected {', '.join(CHANNELS)}, found "
                f"{', '.join(signal.label or 'one without a name' for signal in self._header.signals)}."
            )
        for name in CHANNELS:
            if labels.count(name.upper()) > 1:
                raise CorpusError(
                    f"{self.path} has channel {name} more than once: expected one, found {labels.count(name.upper())}."
                )
        places = [labels.index(name.upper()) for name in CHANNELS]
        for signal in (self._header.signals[place] for place in places):
            if signal.unit not in MICROVOLTS:
                raise CorpusError(
                    f"The header of {self.path} is wrong about the unit of {signal.label}: expected "
                    f"{' or '.join(MICROVOLTS)}, found {signal.unit!r}."
                )
        for place in [*places, self._status()]:
            rate = self._header.signals[place].samples_per_record / self._header.record_seconds
            if rate != RAW_SAMPLING_RATE:
                raise CorpusError(
                    f"{self.path} has another sampling rate: expected {RAW_SAMPLING_RATE:g} Hz, found {rate:g} Hz in "
                    f"channel {self._header.signals[place].label or 'without a name'}."
                )
        return places

    def _status(self) -> int:
        places = [place for place, signal in enumerate(self._header.signals) if _STATUS.fullmatch(signal.label)]
        if not places:
            raise CorpusError(
                f"{self.path} has no status channel: expected 'Status' or one without a name, found "
                f"{', '.join(signal.label for signal in self._header.signals)}."
            )
        return places[-1]

    def _events(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Samples at which the code changes to another than 0, and the codes."""
        codes = read_samples(self.path, self._header, [self._status()])[0] & _CODE_BITS
        changes = np.flatnonzero(np.diff(codes, prepend=0))
        changes = changes[codes[changes] != 0]
        return changes, codes[changes]

    def _check(self, onsets: NDArray[np.int64]) -> None:
        if len(self.starts) != VIDEOS:
            raise CorpusError(
                f"{self.path} does not have all videos: expected code {VIDEO} of the status channel {VIDEOS} times, "
                f"found it {len(self.starts)} times (codes {shown_codes(self.codes)})."
            )
        for number, start in enumerate(self.starts):
            after = onsets[onsets > start]
            stop = int(after[0]) if len(after) else self._samples
            # the file may not end before the video does, and a code may come a moment too early
            if start < MARGIN or start + _LENGTH > self._samples or stop - start < _LENGTH - _SLACK:
                raise CorpusError(
                    f"Video {number + 1} in {self.path} is not whole: expected {BASELINE_S} s before it and {VIDEO_S} "
                    f"s of it, found {start / RAW_SAMPLING_RATE:.3f} s and "
                    f"{(min(stop, self._samples) - start) / RAW_SAMPLING_RATE:.3f} s."
                )


def shown_codes(codes: Counter[int]) -> str:
    """Codes of a status channel and how often each stands, in words."""
    return ", ".join(f"{code} {count} times" for code, count in sorted(codes.items())) or "none"
