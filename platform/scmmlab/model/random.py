"""Random numbers as a function: a counter hash of (seed, purpose, epoch, step, position), the same on every device.

Nothing here has a state. A replica's numbers depend on its own seed alone, so they do not change with its
neighbours, with the device, or with the moment at which it joined a pack.

| symbol | meaning | shape |
|---|---|---|
| R | replicas | |
| k0, k1 | two 32-bit words that stand for (seed, purpose, epoch, step) | [R] |
| counter | position in the stream, 0 … count − 1 | [count] |
"""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

_WORD = 0xFFFFFFFF


def _signed(constant: int) -> int:
    """A 32-bit multiplier as a signed number of the same residue.

    A 32-bit word times a signed 32-bit constant stays inside int64, so no product overflows, and `& _WORD` gives the
    product modulo 2³².
    """
    return constant - (1 << 32) if constant >> 31 else constant


# Multipliers of the three-round integer hash with the least measured bias (C. Wellons, "prospecting for hash functions").
_FIRST, _SECOND, _THIRD = _signed(0xED5AD4BB), _signed(0xAC4C1B51), _signed(0x31848BAB)


def _hash_words(word: Tensor, key: Tensor | int) -> Tensor:
    """32-bit words from 32-bit words: a bijection for each `key`, which enters between the rounds.

    Parameters
    ----------
    word : Tensor, int64
        Words in [0, 2³²). Not changed.
    key : Tensor or int
        Word added after the first round, in a shape that broadcasts.
    """
    word = (word ^ (word >> 17)).mul_(_FIRST).add_(key).bitwise_and_(_WORD)
    word.bitwise_xor_(word >> 11).mul_(_SECOND).bitwise_and_(_WORD)
    word.bitwise_xor_(word >> 15).mul_(_THIRD).bitwise_and_(_WORD)
    return word.bitwise_xor_(word >> 14)


def _keys(seed_R: Tensor, purpose: str, epoch: Tensor | int, step: Tensor | int) -> tuple[Tensor, Tensor]:
    """The two key words of a stream, each [R, 1]; together they make equal streams as rare as equal 64-bit words."""
    zero_R = torch.zeros_like(seed_R)
    k0 = zero_R + zlib.crc32(purpose.encode())
    k1 = _hash_words(k0, 1)
    for number in (seed_R, epoch, step):
        number_R = zero_R + number
        for word in (number_R & _WORD, (number_R >> 32) & _WORD):
            k0 = _hash_words(k0 ^ word, 0x9E3779B9)
            k1 = _hash_words(k1 ^ word, 0x7F4A7C15)
    return k0.unsqueeze(-1), k1.unsqueeze(-1)


def words(seed_R: Tensor, purpose: str, epoch: Tensor | int, step: Tensor | int, count: int) -> Tensor:
    """Random 32-bit words, int64 [R, count], each in [0, 2³²). Arguments as in `uniform`."""
    k0, k1 = _keys(seed_R, purpose, epoch, step)
    counter = torch.arange(count, device=seed_R.device, dtype=torch.int64)
    return _hash_words(counter ^ k0, k1)


def uniform(seed_R: Tensor, purpose: str, epoch: Tensor | int, step: Tensor | int, count: int) -> Tensor:
    """Uniform numbers in [0, 1), multiples of 2⁻²⁴, hence the same in float32 and float64.

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
    return (words(seed_R, purpose, epoch, step, count) >> 8).to(torch.float32).mul_(2.0**-24)


def permutation(seed_R: Tensor, purpose: str, epoch: Tensor | int, n: int) -> Tensor:
    """A random order of 0 … n − 1 for each replica, int64 [R, n]. Arguments as in `uniform`."""
    # sort by 31 random bits; the position beneath them makes keys differ, so that no sort's way with ties matters
    random = words(seed_R, purpose, epoch, 0, n) >> 1
    position = torch.arange(n, device=seed_R.device, dtype=torch.int64)
    return ((random << 32) | position).argsort(dim=-1)
