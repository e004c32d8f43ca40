"""Whatever is struck, a study ends as if nothing had been: what `make chaos` does, as far as minutes allow."""

from __future__ import annotations

import pytest
from campaign import Arena
from rounds import scene_of
from survival import StoreWatch, check_finished_once, repeated_epochs

from scmmlab.study import ResultStore


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("chaos"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slots", "disk"])
def test_a_study_that_is_struck_ends_as_one_that_is_left_alone(arena, name):
    with scene_of(name, arena, seed=1) as campaign:
        tally = campaign.run()
    assert not tally.missed, "every strike met the study"


def epochs(*numbers, stage="pretrain"):
    """Notes of epochs, one a second."""
    return [{"what": "epoch", "key": "k", "stage": stage, "epoch": number, "at": float(number)} for number in numbers]


def kept(epoch, stage="pretrain"):
    return {"what": "kept", "key": "k", "stage": stage, "epoch": epoch, "at": float(epoch)}


def test_epochs_done_twice_are_counted_and_bounded():
    assert repeated_epochs([epochs(*range(1, 31)), epochs(*range(28, 41))], 4, 0.0) == 3
    assert repeated_epochs([epochs(*range(1, 31)), epochs(*range(22, 41))], 4, 5.0) == 9
    with pytest.raises(AssertionError, match=r"9 epochs of .* were done twice"):
        repeated_epochs([epochs(*range(1, 31)), epochs(*range(22, 41))], 4, 0.0)


def test_probes_that_are_told_again_were_not_done_again():
    first = [*epochs(3, 6, 9, 12, stage="probe"), kept(12, "probe"), *epochs(15, stage="probe")]
    again = epochs(3, 6, 9, 12, 15, 18, stage="probe")
    assert repeated_epochs([first, again], 4, 0.0, report_every=3) == 3
    with pytest.raises(AssertionError, match=r"15 epochs of .* were done twice"):
        repeated_epochs([[note for note in first if note["what"] == "epoch"], again], 4, 0.0, report_every=3)


def test_what_is_in_the_store_must_not_begin_again_nor_end_twice():
    began, ended = {"what": "started", "keys": ["k"]}, {"what": "ended", "keys": ["k"]}
    check_finished_once([[began], [began, ended]], [set(), set()], sweep=False)
    with pytest.raises(AssertionError, match="begun once more"):
        check_finished_once([[began, ended], [began]], [set(), {"finetune/k.safetensors"}], sweep=False)
    with pytest.raises(AssertionError, match="ended more than once"):
        check_finished_once([[began, ended], [began, ended]], [set(), set()], sweep=False)


def test_an_object_that_is_written_again_is_noticed(tmp_path):
    store, watch = ResultStore(tmp_path), StoreWatch(str(tmp_path), "study")
    store.put_cell("k", {"folds": []})
    assert watch.look() == {"cells/k.json"}
    store.put_cell("k", {"folds": []})
    assert watch.last_look() == 1, "what is there and whole is left alone"
    file = tmp_path / "cells" / "k.json"
    data = file.read_bytes()
    file.unlink()
    with pytest.raises(AssertionError, match="gone"):
        watch.look()
    file.write_bytes(data)
    with pytest.raises(AssertionError, match="written again"):
        watch.look()
