"""What the store hands out is what was put into it, on any filesystem, whatever happened in between."""

import json
import logging
import os
import pickle
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyarrow import fs

from scmmlab.errors import StoreError
from scmmlab.study import ResultStore, StoredObject
from scmmlab.study.objects import DamagedError, from_json, from_safetensors, to_json, to_safetensors

RECORD = {"format": 1, "loss": [0.1 + 0.2, 1e-300], "name": "Größe · 1", "nothing": None, "deep": {"a": [1, 2.5, True]}}
TENSORS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "logits": np.array([[0.1, -1e-30]]),
    "steps": np.array(3, dtype=np.int64),
    "mask": np.array([True, False]),
    "empty": np.zeros((0, 4), dtype=np.float32),
}


@pytest.fixture(params=["folder", "uri", "subtree", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def store(request, tmp_path):
    match request.param:
        case "s3":
            return ResultStore(request.getfixturevalue("s3").uri(f"deep/{uuid.uuid4().hex}"))
        case "folder":
            return ResultStore(tmp_path / "runs")
        case "uri":
            return ResultStore((tmp_path / "runs").as_uri())
        case "subtree":
            return ResultStore("inside", fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))
        case _:
            return ResultStore("bucket/runs", fs._MockFileSystem())


SOMEBODY = 65534
"""A user that is not root."""


def same(found, tensors):
    return found.keys() == tensors.keys() and all(
        found[name].dtype == tensors[name].dtype and np.array_equal(found[name], tensors[name]) for name in tensors
    )


def files_of(store):
    """The store's files, read and written behind its back."""
    return store._files


def test_an_empty_store_has_nothing(store):
    assert store.keys("cells") == frozenset()
    assert not store.has("pretrain", "k")
    assert store.get_pretrain("k") is store.get_finetune("k") is store.get_cell("k") is store.failure("k") is None
    assert store.load_checkpoint("k", "pretrain") is None
    assert store.study_folder("s").trials() == {}
    assert store.study_folder("s").read_text("spec.yaml") is None


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_a_record_and_its_arrays_come_back_as_they_were(store, kind):
    getattr(store, f"put_{kind}")("k1", RECORD, TENSORS)
    found = getattr(store, f"get_{kind}")("k1")
    assert found.record == RECORD
    assert same(found.tensors, TENSORS)
    assert store.keys(kind) == {"k1"}
    assert store.has(kind, "k1")


def test_a_cells_record_comes_back_as_it_was(store):
    store.put_cell("k1", RECORD)
    store.put_cell("k2", {"a": 1})
    assert store.get_cell("k1") == RECORD
    assert store.keys("cells") == {"k1", "k2"}


def test_what_is_finished_is_never_changed(store):
    store.put_cell("k", {"figure": 1})
    store.put_cell("k", {"figure": 2})
    store.put_pretrain("k", {"figure": 1}, {})
    store.put_pretrain("k", {"figure": 2}, TENSORS)
    assert store.get_cell("k") == {"figure": 1}
    assert store.get_pretrain("k") == StoredObject({"figure": 1}, {})


def test_a_figure_that_is_not_defined_is_null(store):
    store.put_cell("k", {"figure": float("nan"), 3: (np.float64(0.5), np.int64(2))})
    assert store.get_cell("k") == {"figure": None, "3": [0.5, 2]}


def damages(data):
    yield "truncated", data[: len(data) // 2]
    yield "empty", b""
    yield "one bit", data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    yield "other", b"{}"


@pytest.mark.parametrize(
    "name", ["pretrain/k.safetensors", "finetune/k.safetensors", "cells/k.json", "failures/k.json"]
)
@pytest.mark.parametrize("damage", [0, 1, 2, 3])
def test_a_damaged_object_is_set_aside_named_and_missing(store, name, damage, caplog):
    def put():
        match kind:
            case "cells":
                store.put_cell("k", RECORD)
            case "failures":
                store.put_failure("k", "finetune", "it diverged")
            case _:
                getattr(store, f"put_{kind}")("k", RECORD, TENSORS)

    def get():
        return store.failure("k") if kind == "failures" else getattr(store, f"get_{kind.removesuffix('s')}")("k")

    kind = name.partition("/")[0]
    put()
    files = files_of(store)
    _, damaged = list(damages(files.read(name)))[damage]
    files.write(name, damaged)
    with caplog.at_level(logging.WARNING):
        assert get() is None
    assert name in caplog.text
    assert "is damaged" in caplog.text
    assert not store.has(kind, "k")
    assert store.keys(kind) == frozenset()
    assert files.read(f"{name}.damaged") == damaged
    put()
    assert get() is not None


def objects_of(store):
    """Name → how it is put and got."""
    return {
        "pretrain/k.safetensors": (lambda: store.put_pretrain("k", RECORD, TENSORS), lambda: store.get_pretrain("k")),
        "finetune/k.safetensors": (lambda: store.put_finetune("k", RECORD, TENSORS), lambda: store.get_finetune("k")),
        "cells/k.json": (lambda: store.put_cell("k", RECORD), lambda: store.get_cell("k")),
        "failures/k.json": (lambda: store.put_failure("k", "finetune", "no"), lambda: store.failure("k")),
        "checkpoints/k.probe": (
            lambda: store.save_checkpoint("k", "probe", b"data"),
            lambda: store.load_checkpoint("k", "probe"),
        ),
        "studies/demo/trials/00001.json": (
            lambda: store.study_folder("demo").put_trial("00001", RECORD),
            lambda: store.study_folder("demo").trials().get("00001"),
        ),
    }


@pytest.fixture
def own_folder():
    """A folder of ours. Root may read everything: then the test is somebody else for a while."""
    with tempfile.TemporaryDirectory() as folder:
        if os.getuid() == 0:
            os.chown(folder, SOMEBODY, -1)
            os.seteuid(SOMEBODY)
        try:
            yield Path(folder)
        finally:
            os.seteuid(os.getuid())


@pytest.mark.parametrize("name", sorted(objects_of(None)))
def test_a_folder_in_the_place_of_an_object_is_set_aside_named_and_missing(tmp_path, name, caplog):
    store = ResultStore(tmp_path)
    put, get = objects_of(store)[name]
    for number in ("", "-2"):
        (tmp_path / name / "inner").mkdir(parents=True)
        with caplog.at_level(logging.WARNING):
            assert get() is None
        assert f"{name} is damaged: it is a folder. It was renamed to {Path(name).name}.damaged{number}" in caplog.text
        assert (tmp_path / f"{name}.damaged{number}" / "inner").is_dir()
        put()
        assert get() is not None
        (tmp_path / name).unlink()


@pytest.mark.parametrize("name", sorted(objects_of(None)))
def test_an_object_that_its_owner_may_not_read_is_set_aside_named_and_missing(own_folder, name, caplog):
    store = ResultStore(own_folder)
    put, get = objects_of(store)[name]
    put()
    (own_folder / name).chmod(0)
    with caplog.at_level(logging.WARNING):
        assert get() is None
    assert f"{name} is damaged: its owner may not read it. It was renamed to" in caplog.text
    put()
    assert get() is not None


def test_an_object_of_another_user_is_left_alone_and_said_to_be_unreadable(own_folder):
    if os.getuid() != 0:
        pytest.skip("it takes root to make a file another user's")
    store = ResultStore(own_folder)
    store.put_cell("k", RECORD)
    os.seteuid(0)
    path = own_folder / "cells" / "k.json"
    os.chown(path, 0, 0)
    path.chmod(0o600)
    os.seteuid(SOMEBODY)
    with pytest.raises(StoreError, match=r"Cannot read 'cells/k.json' in .*: .*Permission denied"):
        ResultStore(own_folder).get_cell("k")
    assert os.listdir(own_folder / "cells") == ["k.json"]


def test_who_may_only_read_is_told_what_is_damaged(own_folder, caplog):
    ResultStore(own_folder).put_cell("k", RECORD)
    (own_folder / "cells" / "k.json").write_text("{}")
    (own_folder / "cells").chmod(0o500)
    with caplog.at_level(logging.WARNING):
        assert ResultStore(own_folder).get_cell("k") is None
    assert "cells/k.json is damaged" in caplog.text
    assert "It counts as missing. Cannot rename" in caplog.text
    (own_folder / "cells").chmod(0o700)


def test_a_figure_edited_by_hand_is_not_believed(store):
    store.put_cell("k", {"accuracy": 0.5})
    files = files_of(store)
    files.write("cells/k.json", files.read("cells/k.json").replace(b"0.5", b"0.9"))
    assert store.get_cell("k") is None


def test_an_object_under_another_key_is_not_believed(store):
    store.put_cell("a", RECORD)
    store.put_pretrain("a", RECORD, TENSORS)
    files = files_of(store)
    files.write("cells/b.json", files.read("cells/a.json"))
    files.write("pretrain/b.safetensors", files.read("pretrain/a.safetensors"))
    assert store.get_cell("b") is None
    assert store.get_pretrain("b") is None


def test_a_failure_says_what_it_was_and_records_of_before_are_read(store):
    store.put_failure("k", "finetune", "no memory", cause="out_of_memory", log="worker.err on 10.0.0.1")
    failure = store.failure("k")
    assert (failure.cause, failure.log) == ("out_of_memory", "worker.err on 10.0.0.1")
    old = {"stage": "pretrain", "error": "it broke", "traceback": "", "attempts": 2}
    store._files.write("failures/old.json", to_json("failures", "old", old))
    failure = store.failure("old")
    assert (failure.attempts, failure.cause, failure.log) == (2, "error", None)
    assert store.put_failure("old", "pretrain", "it broke").attempts == 3


def test_a_failure_counts_its_attempts_until_the_stage_is_finished(store):
    assert store.put_failure("k", "finetune", "it diverged", "trace").attempts == 1
    assert store.put_failure("k", "finetune", "it diverged", "trace").attempts == 2
    failure = store.failure("k")
    assert (failure.stage, failure.error, failure.traceback, failure.attempts) == (
        "finetune",
        "it diverged",
        "trace",
        2,
    )
    store.put_cell("k", RECORD)
    assert store.failure("k") is None
    assert store.keys("failures") == frozenset()


def test_checkpoints_are_the_latest_alone_and_go_when_the_stage_is_finished(store, caplog):
    store.save_checkpoint("k", "pretrain", b"one")
    store.save_checkpoint("k", "pretrain", b"two")
    store.save_checkpoint("k", "finetune-3", b"fold")
    store.save_checkpoint("other", "pretrain", b"stays")
    assert store.load_checkpoint("k", "pretrain") == b"two"
    store.put_pretrain("k", RECORD, {})
    assert store.load_checkpoint("k", "pretrain") is None
    assert store.load_checkpoint("k", "finetune-3") is None
    assert store.load_checkpoint("other", "pretrain") == b"stays"
    files_of(store).write("checkpoints/other.pretrain", b"short")
    with caplog.at_level(logging.WARNING):
        assert store.load_checkpoint("other", "pretrain") is None
    assert "checkpoints/other.pretrain" in caplog.text


def test_a_study_has_a_folder_of_its_own(store):
    folder = store.study_folder("demo")
    folder.write_text("spec.yaml", "a: 1\n")
    folder.write_text("spec.yaml", "a: 2\n")
    folder.put_trial("t1", {"value": 0.25})
    folder.put_trial("t0", {"value": None})
    folder.put_trial("t1", {"value": 0.5})
    assert folder.read_text("spec.yaml") == "a: 2\n"
    assert folder.trials() == {"t0": {"value": None}, "t1": {"value": 0.5}}
    assert list(folder.trials()) == ["t0", "t1"]
    files_of(store).write("studies/demo/trials/t0.json", b"{")
    assert list(folder.trials()) == ["t1"]
    assert store.study_folder("other").trials() == {}


def test_a_folder_on_this_machine_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ResultStore("runs").study_folder("demo").local == tmp_path / "runs" / "studies" / "demo"
    assert (tmp_path / "runs" / "studies" / "demo").is_dir()
    assert ResultStore("x", fs._MockFileSystem()).study_folder("demo").local is None


def test_a_store_travels_to_another_process(tmp_path):
    store = ResultStore(tmp_path)
    store.put_cell("k", RECORD)
    assert pickle.loads(pickle.dumps(store)).get_cell("k") == RECORD


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_nothing_that_counts(tmp_path):
    """The process ends between writing the temporary file and renaming it."""
    program = f"""
import os
from scmmlab.study.store import ResultStore
store = ResultStore({str(tmp_path)!r})
class Dies(type(store._files.filesystem)):
    def move(self, *names): os._exit(9)
store._files.filesystem = Dies()
store.put_cell("k", {{"a": 1}})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 9, done.stderr
    store = ResultStore(tmp_path)
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    assert store.keys("cells") == frozenset()
    store.put_cell("k", {"a": 1})
    assert store.get_cell("k") == {"a": 1}


def test_a_store_that_cannot_be_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(StoreError, match="Cannot use 'nonsense://x' as a result store"):
        ResultStore("nonsense://x")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Cannot use '.*file' as a result store: it must be a folder"):
        ResultStore(tmp_path / "file")
    (tmp_path / "cells").write_text("")
    with pytest.raises(StoreError, match=r"Cannot read 'cells/k.json' in .*: .*Not a directory"):
        ResultStore(tmp_path).put_cell("k", {})


def test_two_writers_of_one_object_leave_one_whole_object(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ResultStore(tmp_path).put_pretrain("k", RECORD, TENSORS), range(24)))
    assert same(ResultStore(tmp_path).get_pretrain("k").tensors, TENSORS)
    assert list((tmp_path / "tmp").iterdir()) == []


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(
    record=st.dictionaries(st.text(), json_values, max_size=4),
    arrays=st.dictionaries(
        st.text("abc._0", min_size=1),
        hnp.arrays(st.sampled_from([np.float32, np.float64, np.int64]), hnp.array_shapes(min_dims=0, max_side=3)),
        max_size=3,
    ),
)
def test_any_object_survives_the_trip(record, arrays):
    found = from_safetensors("pretrain", "k", to_safetensors("pretrain", "k", record, arrays))
    assert found.record == record
    assert all(found.tensors[name].tobytes() == arrays[name].tobytes() for name in arrays)
    assert from_json("cells", "k", to_json("cells", "k", record)).record == record


@settings(max_examples=60, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_changes_what_is_read(position, bit):
    data = bytearray(to_safetensors("pretrain", "k", RECORD, TENSORS))
    data[int(position * len(data))] ^= 1 << bit
    try:
        found = from_safetensors("pretrain", "k", bytes(data))
    except DamagedError:
        return
    assert found.record == RECORD
    assert same(found.tensors, TENSORS)


def test_a_cells_record_is_readable_json(tmp_path):
    ResultStore(tmp_path).put_cell("k", RECORD)
    document = json.loads((tmp_path / "cells" / "k.json").read_text(encoding="utf-8"))
    assert document["record"] == RECORD
