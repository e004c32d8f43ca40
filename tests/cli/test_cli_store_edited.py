"""A store that was edited by hand, in every way and at every kind of object, gives the same results afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest

from scmmlab.study.files import Files

pytestmark = pytest.mark.slow

RUN = ("--engine", "local", "--tracking-uri", "none")


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def altered(data: bytes) -> bytes:
    place = len(data) * 3 // 4
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def emptied(data: bytes) -> bytes:
    return b""


def replaced(data: bytes) -> bytes:
    return b"{}\n"


CONTENTS = (truncated, altered, emptied, replaced)


def whole(files: Files, kind: str) -> list[str]:
    """Names of all objects of a kind, but those that were set aside."""
    return [name for name in files.names(kind) if ".damaged" not in name]


def damage_contents(files: Files, kind: str) -> list[str]:
    """Damage every object of a kind, two of them by exchanging them; what was damaged."""
    names = whole(files, kind)
    assert len(names) >= 4
    first, second, *others = (f"{kind}/{name}" for name in names)
    contents = files.read(first), files.read(second)
    files.write(first, contents[1])
    files.write(second, contents[0])
    for name, change in zip(others, cycle(CONTENTS), strict=False):
        data = files.read(name)
        assert data
        files.write(name, change(data))
    return [first, second, *others]


def make_folders(files: Files, kind: str) -> list[str]:
    """Put a folder in the place of every object of a kind."""
    damaged = []
    for name in whole(files, kind):
        path = files.local / kind / name
        path.unlink()
        (path / "inner").mkdir(parents=True)
        damaged.append(f"{kind}/{name}")
    return damaged


KINDS = ("cells", "finetune", "pretrain")
"""From what is read first to what is read where that is missing."""


@pytest.mark.parametrize(
    ("place", "damage"), [("folder", damage_contents), ("folder", make_folders), ("s3", damage_contents)]
)
def test_what_was_damaged_is_set_aside_named_and_computed_again(
    scmmlab, study, finished: Path, tmp_path: Path, request, monkeypatch, caplog, place: str, damage: Callable
) -> None:
    monkeypatch.chdir(tmp_path)  # where the report of a store on S3 goes
    if place == "s3":
        store = request.getfixturevalue("s3").uri(tmp_path.name)
        files = Files(store)
        for path in sorted(finished.rglob("*")):
            if path.is_file():
                files.write(path.relative_to(finished).as_posix(), path.read_bytes())
    else:
        store = tmp_path / "runs"
        shutil.copytree(finished, store)
        files = Files(store)
    expected = scmmlab("results", study, "--store", finished).out
    for kinds in (KINDS[:1], KINDS[:2], KINDS):
        caplog.clear()
        damaged = [name for kind in kinds for name in damage(files, kind)]
        assert scmmlab("status", study, "--store", store).status == 1
        assert scmmlab("run", study, "--store", store, *RUN).status == 0
        for name in damaged:
            assert f"{name} is damaged: " in caplog.text
        assert scmmlab("results", study, "--store", store).out == expected
        aside = {name.partition(".damaged")[0] for kind in kinds for name in files.names(kind) if ".damaged" in name}
        assert {name.rpartition("/")[2] for name in damaged} <= aside


def test_what_nothing_needs_is_read_when_asked_for(scmmlab, study, finished: Path, tmp_path: Path, caplog) -> None:
    """Of a finished study only records are read, unless one asks."""
    store = tmp_path / "runs"
    shutil.copytree(finished, store)
    given = (study, "--store", store)
    expected = scmmlab("results", *given).out
    objects = len(list((store / "pretrain").iterdir())) + len(list((store / "finetune").iterdir()))
    done = scmmlab("status", *given, "--check")
    read = "encoders and fine-tuning results read"
    assert (done.status, done.out.splitlines()[0]) == (0, f"{objects} {read}, none damaged.")
    assert f"Reading encoders and fine-tuning results: {objects} of {objects} done" in done.err

    damaged = [name for kind in ("pretrain", "finetune") for name in damage_contents(Files(store), kind)]
    assert scmmlab("status", *given).status == 0
    assert caplog.text == ""
    done = scmmlab("status", *given, "--check")
    assert done.status == 1
    assert done.out.startswith(f"{objects} {read}, {len(damaged)} damaged and set aside: ")
    for name in damaged:
        assert f"{name} is damaged: " in caplog.text
        assert not (store / name).exists()
    assert scmmlab("status", *given, "--check").out.startswith(f"0 {read}, none damaged.")

    shutil.rmtree(store / "cells")
    assert scmmlab("run", *given, *RUN).status == 0
    assert scmmlab("results", *given).out == expected
    assert scmmlab("status", *given, "--check").out.startswith(f"{objects} {read}, none ")
