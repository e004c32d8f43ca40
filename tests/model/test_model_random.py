"""Random numbers: uniform, independent, and a function of their arguments alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scmmlab.replica.random import _hash_number, _hash_words, _signed, permutation, uniform, words

SEEDS = torch.tensor([0, 1, 2**40 + 3, -5])
WORD = st.integers(0, 2**32 - 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(WORD, min_size=1, max_size=40), WORD)
def test_tensors_hash_as_whole_numbers_do(numbers: list[int], key: int) -> None:
    tensor = torch.tensor([_signed(number) for number in numbers], dtype=torch.int32)
    hashed = _hash_words(tensor, _signed(key)).tolist()
    assert hashed == [_signed(_hash_number(number, key)) for number in numbers]


def test_known_values_never_change() -> None:
    # a change here changes every mask and every initial weight: raise NUMERICS_VERSION with it
    assert words(torch.tensor([7]), "masks", 3, 11, 4).tolist() == [[-332747583, 1225735240, -1327300897, -1283309602]]


def test_numbers_are_uniform() -> None:
    drawn = uniform(SEEDS, "test", 1, 2, 200_000).numpy()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    for row in drawn:
        assert stats.kstest(row, "uniform").pvalue > 1e-4
        # neighbours in the stream have nothing to do with each other
        assert abs(np.corrcoef(row[:-1], row[1:])[0, 1]) < 0.01


@pytest.mark.parametrize("bit", range(32))
def test_every_bit_is_fair(bit: int) -> None:
    drawn = words(torch.tensor([3]), "bits", 0, 0, 100_000)
    ones = int(((drawn >> bit) & 1).sum())
    assert abs(ones - 50_000) < 5 * np.sqrt(25_000)


@pytest.mark.parametrize(
    "other",
    [
        ("seed", (torch.tensor([1]), "a", 0, 0)),
        ("purpose", (torch.tensor([0]), "b", 0, 0)),
        ("epoch", (torch.tensor([0]), "a", 1, 0)),
        ("step", (torch.tensor([0]), "a", 0, 1)),
    ],
)
def test_streams_are_independent(other: tuple[str, tuple[torch.Tensor, str, int, int]]) -> None:
    n = 100_000
    one = uniform(torch.tensor([0]), "a", 0, 0, n)[0]
    two = uniform(*other[1], n)[0]
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / np.sqrt(n)
    # joint distribution over an 8 × 8 grid
    grid, _, _ = np.histogram2d(one, two, bins=8, range=[[0, 1], [0, 1]])
    assert stats.chisquare(grid.ravel()).pvalue > 1e-4


def test_epoch_and_step_are_not_interchangeable() -> None:
    seed = torch.tensor([0])
    assert not torch.equal(uniform(seed, "a", 1, 2, 8), uniform(seed, "a", 2, 1, 8))


def test_epochs_of_replicas_may_differ() -> None:
    together = uniform(SEEDS, "a", torch.tensor([5, 6, 7, 8]), 2, 10)
    for r in range(4):
        torch.testing.assert_close(together[r], uniform(SEEDS[r : r + 1], "a", 5 + r, 2, 10)[0], rtol=0, atol=0)


def test_a_longer_stream_begins_as_the_shorter_does() -> None:
    assert torch.equal(uniform(SEEDS, "a", 0, 0, 100)[:, :10], uniform(SEEDS, "a", 0, 0, 10))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 500), st.integers(0, 2**62))
def test_permutations_hold_everything_once(n: int, seed: int) -> None:
    order = permutation(torch.tensor([seed, seed ^ 1]), "order", 3, n)
    assert torch.equal(order.sort(-1).values, torch.arange(n).expand(2, -1))


def test_permutations_are_fair() -> None:
    order = permutation(torch.arange(6000), "order", 0, 3)
    counts = torch.bincount(order[:, 0] * 9 + order[:, 1] * 3 + order[:, 2])
    counts = counts[counts > 0]
    assert len(counts) == 6
    assert stats.chisquare(counts.numpy()).pvalue > 1e-4
