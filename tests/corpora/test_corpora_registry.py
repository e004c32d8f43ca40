"""Readers by name."""

import pytest

from scmmlab.corpora.eegmat import EegmatReader
from scmmlab.corpora.registry import reader_class
from scmmlab.errors import CorpusError


def test_a_reader_is_found_by_its_name():
    assert reader_class("eegmat") is EegmatReader


def test_an_unknown_corpus_is_refused_with_the_nearest_name():
    with pytest.raises(CorpusError, match="Unknown corpus 'EEGMAT_': expected one of eegmat") as error:
        reader_class("EEGMAT_")
    assert error.value.hint == "did you mean 'eegmat'?"


def test_a_name_unlike_any_points_to_the_list():
    with pytest.raises(CorpusError) as error:
        reader_class("zzz")
    assert "corpus list" in error.value.hint
