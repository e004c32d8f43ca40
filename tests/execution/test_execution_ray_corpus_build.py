"""What goes wrong with a file in a Ray worker reaches the user as the sentence that it is."""

import pytest

from scmmlab import errors
from scmmlab.corpora.lab.marks import NoRowError
from scmmlab.errors import CorpusError
from scmmlab.execution.ray.corpus_build import _Extraction


@pytest.mark.parametrize("error", [CorpusError("It is wrong.", "mend it."), NoRowError("It is wrong.", "no row")])
def test_a_readers_error_is_one_of_ours_whichever_it_is(error):
    def read(file):
        raise error

    row = _Extraction(read)({"file": "a.edf"})
    raised = getattr(errors, row["error"])(row["message"], row["hint"])
    assert isinstance(raised, CorpusError)
    assert (raised.message, raised.hint) == (error.message, error.hint)
