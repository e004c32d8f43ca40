"""Tables on disk: whole or not at all, and refused when they were touched."""

import json
import os
import stat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_strategies import small_table

from scmmlab.errors import CorpusError
from scmmlab.tables import locations, read_manifest, read_table, storage, write_table

PART = "part-00000.parquet"


@pytest.fixture
def place(tmp_path):
    write_table(small_table(), tmp_path / "tables" / "small")
    return tmp_path / "tables" / "small"


def fill_the_disk(monkeypatch):
    """Let writing fail when the first part is on the disk."""
    write = pq.write_table

    def write_and_fail(*arguments, **options):
        write(*arguments, **options)
        raise OSError("disk full")

    monkeypatch.setattr(storage.pq, "write_table", write_and_fail)


def change_manifest(place, **changes):
    values = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps({**values, **changes}))


def change_rows(place, column, value, row=0):
    rows = pq.read_table(place / PART)
    values = rows.column(column).to_pylist()
    values[row] = value
    field = rows.schema.field(column)
    changed = rows.set_column(rows.schema.get_field_index(column), field, pa.array(values, field.type))
    pq.write_table(changed, place / PART)


def test_an_existing_table_is_not_overwritten(place):
    before = (place / PART).read_bytes()
    with pytest.raises(CorpusError, match=f"'{place}' already holds a feature table") as error:
        write_table(small_table(corpus="other"), place)
    assert "--force" in error.value.hint
    assert (place / PART).read_bytes() == before


def test_force_replaces_a_table(place):
    write_table(small_table(corpus="other"), place, force=True)
    assert read_table(place).manifest.corpus == "other"
    assert [path.name for path in place.parent.iterdir()] == ["small"]


def test_what_is_no_table_is_not_even_replaced_by_force(place):
    (place / "thesis.docx").write_text("years of work")
    with pytest.raises(CorpusError, match=r"no part of a feature table: .* found 'thesis.docx'"):
        write_table(small_table(), place, force=True)
    assert (place / "thesis.docx").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="is no folder"):
        write_table(small_table(), tmp_path / "file", force=True)


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    write_table(small_table(), tmp_path / "empty")
    assert len(read_table(tmp_path / "empty")) == 48


@pytest.mark.parametrize("force", [False, True])
def test_a_failure_while_writing_leaves_what_was_there(place, monkeypatch, force):
    target = place if force else place.parent / "new"

    fill_the_disk(monkeypatch)
    with pytest.raises(OSError, match="disk full"):
        write_table(small_table(corpus="other"), target, force=force)
    assert [path.name for path in place.parent.iterdir()] == ["small"]
    assert read_table(place).manifest.corpus == "small"


def test_a_table_is_as_open_to_others_as_the_user_wishes(tmp_path):
    before = os.umask(0o022)
    try:
        write_table(small_table(), tmp_path / "table")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "table").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("column", "value"),
    [("label", 2), ("subject", 2), ("trial", 9), ("window", 77), ("features", [0.0] * 6)],
)
def test_an_altered_column_is_noticed(place, column, value):
    change_rows(place, column, value)
    with pytest.raises(CorpusError, match="was altered or damaged: expected 48 windows with fingerprint"):
        read_table(place)


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ["positive", "neutral", "negative"]},
        {"provenance": {"origin": "shipped"}},
        {"window_s": 4.0},
        {"channels": ["Cz", "Fz", "Pz"]},
    ],
)
def test_an_altered_manifest_is_noticed(place, changes):
    change_manifest(place, **changes)
    with pytest.raises(CorpusError, match="was altered or damaged"):
        read_table(place)


def test_another_corpus_in_the_rows_is_noticed(place):
    change_rows(place, "corpus", "other")
    with pytest.raises(CorpusError, match="rows of another corpus"):
        read_table(place)


def test_a_missing_part_is_noticed(place):
    (place / PART).unlink()
    with pytest.raises(CorpusError, match=r"altered or damaged: expected 48 windows .* found 0"):
        read_table(place)


def test_a_truncated_part_is_noticed(place):
    (place / PART).write_bytes((place / PART).read_bytes()[:-100])
    with pytest.raises(CorpusError, match=f"{PART}' cannot be read: expected a Parquet file"):
        read_table(place)


def test_a_part_of_another_table_is_noticed(place, tmp_path):
    write_table(small_table(corpus="other"), tmp_path / "other")
    (place / PART).write_bytes((tmp_path / "other" / PART).read_bytes())
    with pytest.raises(CorpusError, match="is not of the table that the manifest describes"):
        read_table(place)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "found .*"),
        ("[]", "found no format"),
        ("{}", "found no format"),
        ('{"format": 1}', "corpus: Field required"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(place, text, complaint):
    (place / "manifest.json").write_text(text)
    with pytest.raises(CorpusError, match=rf"The manifest of '{place}' cannot be read: .*{complaint}"):
        read_manifest(place)


def test_a_table_of_a_later_layout_is_refused(place):
    change_manifest(place, format=2)
    with pytest.raises(CorpusError, match="another layout: expected format 1, found 2"):
        read_table(place)


@pytest.mark.parametrize(("make", "found"), [(False, "no folder"), (True, "no manifest.json")])
def test_a_place_without_a_table_is_refused(tmp_path, make, found):
    if make:
        (tmp_path / "place").mkdir()
    with pytest.raises(CorpusError, match=f"There is no feature table in .*found {found}"):
        read_table(tmp_path / "place")


def test_a_uri_of_a_folder_is_the_folder(tmp_path):
    write_table(small_table(), (tmp_path / "table").as_uri())
    assert len(read_table(tmp_path / "table")) == 48
    assert read_manifest((tmp_path / "table").as_uri()).windows == 48


def test_a_uri_that_nobody_knows_is_refused():
    with pytest.raises(CorpusError, match="'nowhere://x' cannot be opened"):
        read_table("nowhere://x")


@pytest.fixture
def without_renames(monkeypatch):
    """Local folders as if they lay on a filesystem that cannot rename them."""
    locate = locations.locate

    def remote(location):
        place = locate(location)
        return locations.Location(place.shown, place.filesystem, place.path, None)

    monkeypatch.setattr(storage, "locate", remote)


@pytest.mark.usefixtures("without_renames")
class TestWithoutRenames:
    def test_a_table_is_written_and_replaced(self, tmp_path):
        write_table(small_table(), tmp_path / "table")
        with pytest.raises(CorpusError, match="already holds"):
            write_table(small_table(corpus="other"), tmp_path / "table")
        write_table(small_table(corpus="other"), tmp_path / "table", force=True)
        assert read_table(tmp_path / "table").manifest.corpus == "other"

    def test_a_failure_leaves_nothing_that_looks_like_a_table(self, tmp_path, monkeypatch):
        fill_the_disk(monkeypatch)
        with pytest.raises(OSError, match="disk full"):
            write_table(small_table(), tmp_path / "table")
        assert not list((tmp_path / "table").iterdir())
