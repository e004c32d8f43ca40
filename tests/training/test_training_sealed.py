import pickle

import numpy as np
import pytest

from scmmlab.training.sealed import SealedLabels

LABEL = np.array([0, 1, 1])


@pytest.mark.parametrize(
    "read",
    [np.asarray, np.unique, list, sum, pickle.dumps, lambda s: s[0], lambda s: s == LABEL, hash],
)
def test_labels_cannot_be_read_in_passing(read):
    with pytest.raises(TypeError):
        read(SealedLabels(LABEL))


def test_labels_are_not_printed_but_counted():
    assert repr(SealedLabels(LABEL)) == "SealedLabels(3 windows)"
    assert len(SealedLabels(LABEL)) == 3


def test_opened_labels_are_what_was_sealed_and_not_what_became_of_it():
    label = LABEL.copy()
    sealed = SealedLabels(label)
    label[:] = 7
    np.testing.assert_array_equal(sealed.open(), LABEL)
