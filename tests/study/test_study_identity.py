"""A study keeps its identity where it is moved, and gets another where it is copied, in folders and on S3."""

from __future__ import annotations

import shutil

from scmmlab.study import ResultStore, known_identity, study_identity


def identity(store):
    return study_identity(ResultStore(store).study_folder("demo"))


def test_an_identity_is_written_once_and_no_two_stores_have_the_same(tmp_path) -> None:
    folder = ResultStore(tmp_path / "a").study_folder("demo")
    assert known_identity(folder) is None
    first = study_identity(folder)
    assert known_identity(folder) == identity(tmp_path / "a") == first
    others = {identity(tmp_path / "b").id, study_identity(ResultStore(tmp_path / "a").study_folder("other")).id}
    assert len(others | {first.id}) == 3
    assert not first.older


def test_a_study_with_a_plan_and_no_identity_is_older(tmp_path) -> None:
    folder = ResultStore(tmp_path).study_folder("demo")
    folder.write_text("plan.json", "{}")
    assert study_identity(folder).older
    assert study_identity(folder).older


def test_a_moved_study_is_itself_and_a_copied_one_is_another(tmp_path) -> None:
    first = identity(tmp_path / "first")
    shutil.move(tmp_path / "first", tmp_path / "second")
    assert identity(tmp_path / "second").id == first.id
    shutil.copytree(tmp_path / "second", tmp_path / "copy")
    copy = identity(tmp_path / "copy")
    assert copy.id != first.id
    assert copy.former == (first.id,)
    assert identity(tmp_path / "copy") == copy
    assert identity(tmp_path / "second").id == first.id
    shutil.copytree(tmp_path / "copy", tmp_path / "copy of copy")
    assert identity(tmp_path / "copy of copy").former == (first.id, copy.id)
    shutil.rmtree(tmp_path / "copy")
    shutil.move(tmp_path / "copy of copy", tmp_path / "copy")
    assert identity(tmp_path / "copy").former == (first.id, copy.id)


def test_another_path_to_a_study_is_no_copy(tmp_path) -> None:
    first = identity(tmp_path / "runs")
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    assert identity(tmp_path / "link") == first
    assert identity(f"{tmp_path}/runs/") == first


def test_an_identity_that_was_damaged_is_made_anew(tmp_path) -> None:
    first = identity(tmp_path)
    for text in ("", "{", "[]", '"x"', '{"id": 3}'):
        (tmp_path / "studies" / "demo" / "identity.json").write_text(text)
        assert identity(tmp_path).id not in ("x", first.id)


def test_on_s3_a_moved_study_is_itself_and_a_copied_one_is_another(s3) -> None:
    def copy(source: str, target: str) -> None:
        text = ResultStore(s3.uri(source)).study_folder("demo").read_text("identity.json")
        ResultStore(s3.uri(target)).study_folder("demo").write_text("identity.json", text)

    first = identity(s3.uri("first"))
    assert identity(s3.uri("first")) == first
    copy("first", "copy")
    assert identity(s3.uri("copy")).former == (first.id,)
    copy("first", "moved")
    store = ResultStore(s3.uri("first"))
    store._files.delete("studies/demo/identity.json")
    assert identity(s3.uri("moved")).id == first.id
