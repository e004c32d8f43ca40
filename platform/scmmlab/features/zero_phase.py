"""One signal through several zero-phase Butterworth filters: the numbers of `sosfiltfilt` in a fraction of its time.

A recursion leaves a processor waiting for its own last result, sample by sample, twice a band. What it gives is a
convolution, except near the signal's end, where the way back begins: one Fourier transform of the signal serves all
bands, each of which then costs one transform back. What the end adds is linear in the few numbers that the recursion
remembers there.

    symbol    shape                   meaning
    x, y      (channels, times)       the padded signal, and what the filter makes of it on the way forwards
    s         (channels, states)      what the filter remembers at the end, two numbers a section
    U         (states, times)         what a filter that remembers 1 in one of its numbers rings out to
    Q         (states, states)        what it remembers when it has come back over that, backwards
    f         (states,)               the same when it has come back over what it makes of the signal's fading
    z         (states,)               what it remembers of a signal that has been 1 for ever
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
    padded_CT = extended_CT[:, :times]
    spectrum_CQ = rfft(extended_CT, axis=1).astype(np.complex64 if single else np.complex128, copy=False)
    real = np.float32 if single else np.float64
    for low, high, sections in filters:
        # as real numbers, two a frequency: the gain is real, and a complex product would be twice the work
        gains = _gains(low, high, sampling_rate, order, count, real)
        product_CQ = (spectrum_CQ.view(real) * gains).view(spectrum_CQ.dtype)
        filtered_CT: NDArray[np.floating] = irfft(product_CQ, n=count, axis=1, overwrite_x=True)[:, :times]
        end_CT = _end(sections, padded_CT, fading)
        filtered_CT[:, times - end_CT.shape[1] :] += end_CT
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


def _end(sections: Sections, padded_CT: NDArray[np.float64], fading: int) -> NDArray[np.float64]:
    """What `sosfiltfilt` gives in the last samples beyond the convolution with a signal that fades after its end.

    The convolution lets the filter ring out and the signal x fade, so that the filter comes back remembering s Q + x f.
    `sosfiltfilt` starts it as if its last output had gone on for ever, remembering y z. The difference rings out on the
    way back: (y z − s Q − x f) U.
    """
    from scipy.signal import sosfilt

    ringing_SN, returned_SS, steady_S = _unit_states(sections)
    faded_S = _faded_state(sections, fading)
    last_CN = padded_CT[:, -ringing_SN.shape[1] :]
    output_CN, state = sosfilt(np.array(sections), last_CN, axis=1, zi=np.zeros((len(sections), len(last_CN), 2)))
    # by einsum, whose sums do not depend on threads and processors as those of a BLAS do
    remembered_CS = np.einsum("cs,st->ct", _flat(state), returned_SS) + last_CN[:, -1:] * faded_S
    excess_CS = output_CN[:, -1:] * steady_S - remembered_CS
    return np.einsum("cs,sn->cn", excess_CS, ringing_SN[:, : last_CN.shape[1]])[:, ::-1]


@lru_cache(maxsize=64)
def _unit_states(sections: Sections) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The ringing U and the states Q and z of a filter."""
    from scipy.signal import sosfilt, sosfilt_zi

    filters = np.array(sections)
    states = 2 * len(filters)
    # SciPy's order of axes is section, channel, and the section's two numbers
    units = np.eye(states).reshape(states, len(filters), 2).transpose(1, 0, 2)
    ringing_SN, _ = sosfilt(filters, np.zeros((states, _ringing(sections))), axis=1, zi=units)
    _, returned = sosfilt(filters, ringing_SN[:, ::-1], axis=1, zi=np.zeros_like(units))
    return ringing_SN, _flat(returned), sosfilt_zi(filters).reshape(-1)


@lru_cache(maxsize=64)
def _faded_state(sections: Sections, fading: int) -> NDArray[np.float64]:
    """The state f of a filter, for a signal that fades from 1 in so many samples."""
    from scipy.signal import sosfilt

    filters = np.array(sections)
    faded = np.concatenate([_fade(fading), np.zeros(_ringing(sections))])
    at_rest = np.zeros((len(filters), 2))
    forwards, _ = sosfilt(filters, faded, zi=at_rest)
    _, state = sosfilt(filters, forwards[::-1], zi=at_rest)
    return state.reshape(-1)


def _flat(state: NDArray[np.float64]) -> NDArray[np.float64]:
    """A state of SciPy's, shape=(n_sections, n_channels, 2), as shape=(n_channels, n_states)."""
    return state.transpose(1, 0, 2).reshape(state.shape[1], -1)


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
