"""Features and signals of a made-up subject, from the generative model of the synthetic corpora.

Equations and names are those of `scmmlab.corpora.synthetic`: a fake corpus shares its maps of states and rhythms with
every other, so that a transfer between two fakes, whatever their montages, can be learned.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.synthetic import (
    BAND_MEANS,
    BANDS,
    RHYTHM_DIMENSIONS,
    STATE_DIMENSIONS,
    autoregressive,
    map_of_channels,
    named_generator,
    unit_vector,
)

STRENGTH = 0.5
DRIFT = 0.25
MEMORY_S = 8.0
RHYTHMS = 0.3
NOISE = 0.3
SUBJECT_SHIFT = 0.5
CORPUS_SHIFT = 0.5
"""As the defaults of `SyntheticSpec`, in nats."""


class Brain:
    """One subject of a fake corpus: asked for a trial of a class, it gives differential entropies or a signal.

    What it gives depends on the corpus's name, the seed, and the numbers of subject, session and trial alone, so that
    a fake of one subject is the beginning of a fake of all, and shipped features fit their raw recordings.

    Parameters
    ----------
    corpus : str
        Name of the corpus, which shifts all its subjects.
    channels : tuple of str
        Channel names, in the order wanted.
    subject : int
        Number of the subject.
    seed : int
        Seed of the fake.
    """

    def __init__(self, corpus: str, channels: tuple[str, ...], subject: int, seed: int = 0):
        self.channels = channels
        self._name = f"fake {corpus} {seed}"
        self._subject = subject
        shape = (len(channels), len(BANDS))
        corpus_rng, subject_rng = named_generator(self._name), named_generator(f"{self._name} subject {subject}")
        self._state_map_SCF = map_of_channels("state", channels, STATE_DIMENSIONS, mean=0.0)
        self._rhythm_map_BCF = map_of_channels("rhythm", channels, RHYTHM_DIMENSIONS, mean=1.0) / np.sqrt(
            RHYTHM_DIMENSIONS
        )
        self._offset_CF = (
            np.array(BAND_MEANS)
            + CORPUS_SHIFT * corpus_rng.normal(size=shape)
            + SUBJECT_SHIFT * subject_rng.normal(size=shape)
        )
        self._gain = float(np.exp(0.2 * subject_rng.normal()))

    def entropies(
        self, session: int, trial: int, states: Mapping[str, float] | str, windows: int, window_s: float = 1.0
    ) -> NDArray[np.float64]:
        """Differential entropies of a trial, in nats of a signal in µV.

        Parameters
        ----------
        session, trial : int
            Which trial it is.
        states : str or dict of str to float
            The class, or several with their shares (a rating of valence and one of arousal, say).
        windows : int
            How many windows.
        window_s : float
            Length of a window in s.

        Returns
        -------
        array, shape=(n_windows, n_channels, n_bands)
            The bands are those of SEED: delta, theta, alpha, beta, gamma.
        """
        shares = {states: 1.0} if isinstance(states, str) else states
        mean_S = sum(share * unit_vector(f"class {name}", STATE_DIMENSIONS) for name, share in shares.items())
        shape = self._offset_CF.shape
        session_rng = named_generator(f"{self._name} subject {self._subject} session {session}")
        rng = named_generator(f"{self._name} subject {self._subject} session {session} trial {trial}")
        offset_CF = self._offset_CF + 0.5 * SUBJECT_SHIFT * session_rng.normal(size=shape)
        memory = MEMORY_S / window_s
        state_WS = STRENGTH * mean_S + DRIFT * autoregressive(windows, STATE_DIMENSIONS, memory, rng)
        rhythm_WB = RHYTHMS * autoregressive(windows, RHYTHM_DIMENSIONS, memory / 4, rng)
        # x = offset + gain · state · map + rhythms · map + noise
        features_WCF: NDArray[np.float64] = (
            offset_CF
            + self._gain * np.tensordot(state_WS, self._state_map_SCF, axes=1)
            + np.tensordot(rhythm_WB, self._rhythm_map_BCF, axes=1)
            + NOISE * rng.normal(size=(windows, *shape))
        )
        return features_WCF

    def signal(
        self, session: int, trial: int, states: Mapping[str, float] | str, samples: int, sampling_rate: float
    ) -> NDArray[np.float64]:
        """A signal whose band powers follow `entropies` of the same trial, second by second.

        Returns
        -------
        array, shape=(n_channels, n_times)
            In µV.
        """
        seconds = -(-samples // int(sampling_rate))
        entropy_WCF = self.entropies(session, trial, states, seconds)
        rng = named_generator(f"{self._name} subject {self._subject} session {session} trial {trial} signal")
        count = int(seconds * sampling_rate)
        frequencies = np.fft.rfftfreq(count, 1 / sampling_rate)
        # volume conduction: neighbouring channels (in the order of their names) see some of the same noise
        own_CT = rng.standard_normal((len(self.channels), count), dtype=np.float32)
        shared_T = rng.standard_normal(count, dtype=np.float32)
        spectrum_CQ = np.fft.rfft(0.9 * own_CT + np.sqrt(1 - 0.9**2) * shared_T, axis=1)
        signal_CT = np.zeros((len(self.channels), count))
        for band, (low, high) in enumerate(BANDS.values()):
            inside_Q = (frequencies >= low) & (frequencies < min(high, sampling_rate / 2))
            if not inside_Q.any():
                continue
            part_CT = np.fft.irfft(np.where(inside_Q, spectrum_CQ, 0), n=count, axis=1)
            # h = ½ ln(2πe σ²)  ⇔  σ = exp(h) / √(2πe);   white noise of variance 1 leaves its share in the band
            share = 2 * np.count_nonzero(inside_Q) / count
            deviation_CW = np.exp(entropy_WCF[:, :, band].T) / np.sqrt(2 * np.pi * np.e * share)
            part_CT *= np.repeat(deviation_CW, int(sampling_rate), axis=1)
            signal_CT += part_CT
        return signal_CT[:, :samples]
