"""One signal through several zero-phase Butterworth filters: the numbers of `sosfiltfilt` in a fraction of its time.

A recursion leaves a processor waiting for its own last result, sample by sample, twice a band. What it gives is a
convolution, except near the signal's end, where the way back begins: one Fourier transform of the signal serves all
bands, each of which then costs one transform back. What the end adds goes through the few numbers that the recursion
remembers there, and is a linear map of low rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scmmlab.errors import CorpusError

NEGLIGIBLE = 1e-8
"""What is left of an impulse where it counts as gone."""

Sections = tuple[tuple[float, ...], ...]


def zero_phase_bands(
    signal_CT: NDArray[np.float64],
    sampling_rate: float,
    bands: Iterable[tuple[float, float]],
    order: int = 4,
    single: bool = False,
) -> Iterator[NDArray[np.floating]]:
    """The parts of a signal between pairs of frequencies, one after the other.

    A filter runs forwards and then backwards over the signal, which cancels its phase and squares its gain: −6 dB at
    the two edges, and the slopes of a filter of twice the order. Both ends are padded by an odd reflection, so that
    what the filter needs beyond an end is guessed: the first and last windows of a recording carry that guess.

    Parameters
    ----------
    signal_CT : array, shape=(n_channels, n_times)
        The signal, one channel a row.
    sampling_rate : float
        In Hz.
    bands : iterable of (float, float)
        The edges of each band in Hz.
    order : int
        Order of the Butterworth prototype (a band-pass of it has twice as many poles).
    single : bool
        Whether single precision is enough for the results, which takes half the time. Frequencies are told apart in
        double precision before, so that what is outside a band costs no digits; what is loud within it does.

    Yields
    ------
    array, shape=(n_channels, n_times)
        In the unit of the signal.

    Raises
    ------
    CorpusError
        If the signal is shorter than the padding.
    """
    # imported here, because those who only scale features should not wait for it
    from scipy.fft import irfft, next_fast_len, rfft

    filters = [(low, high, _sections(low, high, sampling_rate, order)) for low, high in bands]
    # `order` sections, two poles each
    padding = 3 * (2 * order + 1)
    times = signal_CT.shape[1] + 2 * padding
    ringing = [_ringing(sections) for *_, sections in filters]
    # after the end the signal fades: a step to zero would ring loudly and cost a quiet band its digits
    fading = min(ringing)
    # and zeros, in which the longest ringing dies away before it comes round to the start
    count = next_fast_len(times + fading + max(ringing), real=True)
    extended_CT = _extended(signal_CT, padding, fading, count)
    spectrum_CQ = rfft(extended_CT, axis=1).astype(np.complex64 if single else np.complex128, copy=False)
    real = np.float32 if single else np.float64
    for low, high, sections in filters:
        # as real numbers, two a frequency: the gain is real, and a complex product would be twice the work
        gains = _gains(low, high, sampling_rate, order, count, real)
        product_CQ = (spectrum_CQ.view(real) * gains).view(spectrum_CQ.dtype)
        filtered_CT: NDArray[np.floating] = irfft(product_CQ, n=count, axis=1, overwrite_x=True)[:, :times]
        # what the end adds; by einsum, whose sums do not depend on threads and processors as those of a BLAS do
        remembered_SN, ringing_SN = (map_SN[:, -times:] for map_SN in _end_map(sections, fading))
        end = slice(times - ringing_SN.shape[1], times)
        excess_CS = np.einsum("cn,sn->cs", extended_CT[:, end], remembered_SN)
        filtered_CT[:, end] += np.einsum("cs,sn->cn", excess_CS, ringing_SN)
        yield filtered_CT[:, padding : times - padding]


def _extended(signal_CT: NDArray[np.float64], padding: int, fading: int, count: int) -> NDArray[np.float64]:
    """The signal between odd reflections of itself, minus its first value; then its fading, then zeros up to `count`.

    No band has 0 Hz in it, so that an offset changes nothing. Without that of the first value, `sosfiltfilt` starts at
    rest, as the convolution with a signal that was zero before does.
    """
    if signal_CT.shape[1] <= padding:
        raise CorpusError(
            f"The signal is too short to be filtered: expected more than {padding} samples, found {signal_CT.shape[1]}."
        )
    stop = padding + signal_CT.shape[1]
    times = stop + padding
    extended_CT = np.zeros((len(signal_CT), count))
    extended_CT[:, :padding] = 2 * signal_CT[:, :1] - signal_CT[:, padding:0:-1]
    extended_CT[:, padding:stop] = signal_CT
    extended_CT[:, stop:times] = 2 * signal_CT[:, -1:] - signal_CT[:, -2 : -padding - 2 : -1]
    extended_CT[:, :times] -= extended_CT[:, :1].copy()
    extended_CT[:, times : times + fading] = extended_CT[:, times - 1 : times] * _fade(fading)
    return extended_CT


def _fade(samples: int) -> NDArray[np.float64]:
    """From 1 to 0 in half a period of a cosine, shape=(samples,)."""
    fade: NDArray[np.float64] = (1 + np.cos(np.pi * np.arange(1, samples + 1) / samples)) / 2
    return fade


@lru_cache(maxsize=64)
def _end_map(sections: Sections, fading: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From a signal's last samples to what `sosfiltfilt` gives there beyond the convolution with a signal that fades.

    The state s of a filter is what it remembers, two numbers a section; x is its last input, y its last output. After
    the end, the convolution lets the filter ring out and the signal fade, and comes back in the state s Q + x f.
    `sosfiltfilt` starts on the way back as if y had gone on for ever, in the state y z. The difference rings out on the
    way back: (y z − s Q − x f) U.

    Returns
    -------
    remembered : array, shape=(n_states, n_times)
        From the last samples to that difference of states; s and y of an impulse are what it leaves behind.
    ringing : array, shape=(n_states, n_times)
        U, what each number of the state rings out to, backwards.
    """
    from scipy.signal import sosfilt, sosfilt_zi

    filters = np.array(sections)
    states, times = 2 * len(filters), _ringing(sections)

    def run(input_N: NDArray[np.float64], state_S: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """What a filter that is in this state makes of an input, and the state that it is in then."""
        output_N, state = sosfilt(filters, input_N, zi=state_S.reshape(-1, 2))
        return output_N, state.reshape(-1)

    rest_S = np.zeros(states)
    ringing_SN = np.array([run(np.zeros(times), unit_S)[0] for unit_S in np.eye(states)])
    returned_SS = np.array([run(ringing_N[::-1], rest_S)[1] for ringing_N in ringing_SN])
    faded_N, _ = run(np.concatenate([_fade(fading), np.zeros(times)]), rest_S)
    _, faded_S = run(faded_N[::-1], rest_S)
    # what an impulse leaves behind, the latest first: after 2n steps it is what it was after n, n steps later
    _, impulse_S = run(np.ones(1), rest_S)
    later_SS = np.array([run(np.zeros(1), unit_S)[1] for unit_S in np.eye(states)])
    left_NS = impulse_S[None]
    while len(left_NS) < times:
        left_NS = np.concatenate([left_NS, np.einsum("ns,st->nt", left_NS, later_SS)])
        later_SS = np.einsum("rs,st->rt", later_SS, later_SS)
    output_N, _ = run(np.eye(1, times)[0], rest_S)
    excess_NS = np.outer(output_N, sosfilt_zi(filters)) - np.einsum("ns,st->nt", left_NS[:times], returned_SS)
    excess_NS[0] -= faded_S
    return np.ascontiguousarray(excess_NS[::-1].T), np.ascontiguousarray(ringing_SN[:, ::-1])


@lru_cache(maxsize=64)
def _sections(low: float, high: float, sampling_rate: float, order: int) -> Sections:
    from scipy.signal import butter

    # second-order sections: as one polynomial, delta's poles (1 Hz in 500) would cancel to nothing in float64
    sections = butter(order, (low, high), btype="bandpass", fs=sampling_rate, output="sos")
    return tuple(tuple(map(float, section)) for section in sections)


@lru_cache(maxsize=64)
def _ringing(sections: Sections) -> int:
    """Samples after which an impulse is gone."""
    from scipy.signal import sos2zpk

    _, poles, _ = sos2zpk(np.array(sections))
    # |p|^n = NEGLIGIBLE; a quarter more, because filtering twice gives n · |p|^n
    return int(np.ceil(1.25 * np.log(NEGLIGIBLE) / np.log(np.abs(poles).max())))


# as many as bands: they are the same for all channels, and as long as a recording
@lru_cache(maxsize=8)
def _gains(
    low: float, high: float, sampling_rate: float, order: int, count: int, dtype: type[np.floating]
) -> NDArray[np.floating]:
    """|H|² at the frequencies of a transform of `count` samples, each twice."""
    # frequencies as the bilinear transform warps them
    warped_Q = np.tan(np.pi * np.arange(count // 2 + 1) / count)
    first, last = np.tan(np.pi * np.array([low, high]) / sampling_rate)
    with np.errstate(divide="ignore", over="ignore"):
        # |H|² = 1 / (1 + q²ⁿ),  q = (Ω − Ω₁Ω₂/Ω) / (Ω₂ − Ω₁);  0 at 0 Hz, where q is infinite
        distance_Q = (warped_Q - first * last / warped_Q) / (last - first)
        gain_Q = 1 / (1 + (distance_Q * distance_Q) ** order)
    return np.repeat(gain_Q.astype(dtype), 2)
