"""A finished cell comes out the same to the last digit when it is computed once more, and a wrong record does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from scmmlab.study.objects import to_json


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full/a-to-b/1", "released/a-to-b/0"])
def test_a_cell_comes_out_the_same_and_the_store_is_left_alone(scmmlab, study, finished: Path, name: str) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*.json")}
    done = scmmlab("rerun", name, "--study", study, "--store", finished)
    assert done.status == 0, done.err
    assert "identical to the last digit" in done.out
    assert {path: path.read_bytes() for path in finished.rglob("*.json")} == before


@pytest.mark.slow
def test_a_digit_that_is_not_what_comes_out_is_named(scmmlab, study, finished: Path, tmp_path: Path) -> None:
    store = tmp_path / "runs"
    shutil.copytree(finished, store)
    key = json.loads((store / "studies" / "tiny" / "plan.json").read_text())["cells"][0]["key"]
    path = store / "cells" / f"{key}.json"
    record = json.loads(path.read_text())["record"]
    record["curves"]["pretrain"][1]["loss"] *= 1 + 2**-52
    path.write_bytes(to_json("cells", key, record))
    done = scmmlab("rerun", key[:10], "--study", study, "--store", store)
    assert done.status == 1
    assert "1 figure of the record differs" in done.out
    assert "curves.pretrain.1.loss: " in done.out
    assert "relative difference" in done.out


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", "it must be a key of study 'tiny', a prefix of one, or variant/transfer/seed, got ''"),
        ("fulk/a-to-b/0", "did you mean full/a-to-b/0?"),
        ("full/a-to-b/0", "There is no record of cell full · a-to-b · 0"),
    ],
)
def test_what_is_no_finished_cell_is_refused(scmmlab, study, tmp_path: Path, cell: str, said: str) -> None:
    done = scmmlab("rerun", cell, "--study", study, "--store", tmp_path)
    assert done.status == 2
    assert said in done.err
