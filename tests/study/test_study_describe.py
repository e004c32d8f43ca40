"""What a plan says of a transfer."""

from study_fakes import CHANNELS, manifest, transfer

from scmmlab.config import CorpusSelection
from scmmlab.study.describe import transfer_sentence


def test_the_class_map_of_a_transfer_is_printed():
    classes = {"calm": ["rest", "sleep"], "busy": ["task"]}
    chosen = transfer(target=CorpusSelection(table="tables/two", classes=classes))
    sentence = transfer_sentence(chosen, manifest("one"), manifest("two"), CHANNELS)
    assert sentence.endswith("classes calm, busy; classes of two rest + sleep → calm, task → busy.")


def test_a_class_that_the_map_leaves_out_is_named():
    chosen = transfer(source=CorpusSelection(table="tables/one", classes={"calm": ["rest"], "busy": ["task"]}))
    sentence = transfer_sentence(chosen, manifest("one"), manifest("two"), CHANNELS)
    assert sentence.endswith("; classes of one rest → calm, task → busy (sleep left out).")
