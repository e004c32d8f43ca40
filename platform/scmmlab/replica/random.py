"""Random numbers as a function: a counter hash of (seed, purpose, epoch, step, position), the same on every device.

Nothing here has a state. A replica's numbers depend on its own seed alone, so they do not change with its
neighbours, with the device, or with the moment at which it joined a pack.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

_WORD = 0xFFFFFFFF
"""Words are 32 bits wide: non-negative numbers in Python, int32 in tensors, whose products wrap modulo 2³²."""


def _signed(word: int) -> int:
    """The int32 with the bits of `word`."""
    return word - (1 << 32) if word >> 31 else word


# multipliers and shifts of the three-round hash of 32-bit words with the least measured bias (C. Wellons, "Prospecting
# for Hash Functions", 2018)
_MULTIPLIERS = 0xED5AD4BB, 0xAC4C1B51, 0x31848BAB
_LANES = 0x9E3779B9, 0x7F4A7C15
"""What makes the two words of a key differ: digits of the golden ratio."""


def _hash_number(word: int, key: int) -> int:
    """A word from a word, a bijection for each `key` (a word that enters in the first round)."""
    first, second, third = _MULTIPLIERS
    word = ((word ^ (word >> 17)) * first + key) & _WORD
    word = ((word ^ (word >> 11)) * second) & _WORD
    word = ((word ^ (word >> 15)) * third) & _WORD
    return word ^ (word >> 14)


def _hash_words(word: Tensor, key: Tensor | int) -> Tensor:
    """`_hash_number` of int32 tensors; int32 shifts copy the sign down, so what they bring in is masked off."""
    first, second, third = (_signed(multiplier) for multiplier in _MULTIPLIERS)
    word = ((word >> 17).bitwise_and_(_WORD >> 17)).bitwise_xor_(word).mul_(first).add_(key)
    word.bitwise_xor_((word >> 11).bitwise_and_(_WORD >> 11)).mul_(second)
    word.bitwise_xor_((word >> 15).bitwise_and_(_WORD >> 15)).mul_(third)
    return word.bitwise_xor_((word >> 14).bitwise_and_(_WORD >> 14))


def _numbers(number: Tensor | int, replicas: int) -> list[int]:
    return [number] * replicas if isinstance(number, int) else number.expand(replicas).tolist()


def _absorbed(lanes: Sequence[int], number: int, start: int) -> list[int]:
    """The two words of a key after a number of 64 bits, low half first."""
    for shift in (0, 32):
        lanes = [_hash_number(lane ^ (number >> shift) & _WORD, start) for lane in lanes]
    return list(lanes)


def streams(seed_R: Tensor, purpose: str, epoch: Tensor | int, step: Tensor | int) -> Tensor:
    """The two words, int32 [2, R, 1], that stand for a stream: 64 bits, so that no two streams of a study coincide.

    Arguments as in `uniform`.
    """
    start = zlib.crc32(purpose.encode())
    lanes = [start ^ lane for lane in _LANES]
    if seed_R.device.type == "cpu":
        # Python takes the numbers of a replica faster than PyTorch a hundred operations on R numbers
        own = []
        for numbers in zip(_numbers(epoch, len(seed_R)), _numbers(step, len(seed_R)), seed_R.tolist(), strict=True):
            key = lanes
            for number in numbers:
                key = _absorbed(key, number, start)
            own.append([_signed(word) for word in key])
        return torch.tensor(own, dtype=torch.int32).T.unsqueeze(-1)
    rest: list[Tensor | int] = [epoch, step, seed_R]
    # elsewhere too Python's numbers are absorbed as such, until the first tensor
    while isinstance(first := rest[0], int):
        lanes = _absorbed(lanes, first, start)
        rest.pop(0)
    keys = torch.tensor([[_signed(lane)] for lane in lanes], dtype=torch.int32, device=seed_R.device)
    for number in rest:
        for shift in (0, 32):
            word = (number >> shift) & _WORD
            word = _signed(word) if isinstance(word, int) else word.to(torch.int32)
            keys = _hash_words(keys ^ word, _signed(start))
    return keys.unsqueeze(-1)


def words(seed_R: Tensor, purpose: str, epoch: Tensor | int, step: Tensor | int, count: int) -> Tensor:
    """Random words, int32 [R, count], each in [−2³¹, 2³¹). Arguments as in `uniform`."""
    return stream_words(streams(seed_R, purpose, epoch, step), count)


def stream_words(streams_2R1: Tensor, count: int, start: int = 0) -> Tensor:
    """The `count` words of each stream from word `start` on, int32 [R, count]."""
    first, second = streams_2R1
    counter = torch.arange(start, start + count, device=streams_2R1.device, dtype=torch.int32)
    return _hash_words(counter ^ first, second)


def uniform(seed_R: Tensor, purpose: str, epoch: Tensor | int, step: Tensor | int, count: int) -> Tensor:
    """Uniform numbers in [0, 1), multiples of 2⁻²⁴, which float32 holds exactly.

    Parameters
    ----------
    seed_R : Tensor, int64, shape=(R,)
        Seed of each replica.
    purpose : str
        What the numbers are for; different purposes give independent numbers.
    epoch, step : int or Tensor, int64, shape=(R,)
        When they are drawn.
    count : int
        How many.

    Returns
    -------
    Tensor, float32, shape=(R, count)
    """
    bits = (words(seed_R, purpose, epoch, step, count) >> 8).bitwise_and_(_WORD >> 8)
    return bits.to(torch.float32).mul_(2.0**-24)


def permutation(seed_R: Tensor, purpose: str, epoch: Tensor | int, n: int) -> Tensor:
    """A random order of 0 … n − 1 for each replica, int64 [R, n]. Arguments as in `uniform`."""
    # sorted by 31 random bits; the position beneath them makes all keys differ, so that it does not matter how a sort
    # treats ties
    return order_of(words(seed_R, purpose, epoch, 0, n) & (_WORD >> 1))


def order_of(words_RN: Tensor) -> Tensor:
    """The order of 0 … N − 1, int64 [R, N], that random words, int32 [R, N], make; of equal ones the first is first."""
    position = torch.arange(words_RN.shape[1], device=words_RN.device, dtype=torch.int64)
    return ((words_RN.to(torch.int64) << 32) | position).argsort(dim=-1)
