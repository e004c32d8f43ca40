"""A build that was stopped goes on where it was."""

import pytest
from test_tables_build import TextReader

from scmmlab.errors import CorpusError
from scmmlab.features import DEFAULT_BANDS, EXTRACTION_VERSION, FeatureSpec
from scmmlab.tables import build_table, map_here, read_table


class Stopped(Exception):
    """The machine went down."""


def stops_after(files):
    def mapper(extract, names):
        for name in names[:files]:
            yield extract(name)
        raise Stopped

    return mapper


def counting(read):
    def mapper(extract, names):
        read.extend(names)
        return map_here(extract, names)

    return mapper


@pytest.fixture
def out(tmp_path, root):
    """Where two of three files were done when the build stopped."""
    out = tmp_path / "tables" / "out"
    with pytest.raises(Stopped):
        build_table(TextReader(), root, out, mapper=stops_after(2))
    assert not out.exists()
    return out


def parts(out):
    return [path for path in out.parent.iterdir() if path.name.endswith(".parts")]


def test_only_what_is_missing_is_read_and_the_table_is_the_same(root, out, tmp_path):
    read, told = [], []
    progress = lambda done, total: told.append((done, total))  # noqa: E731
    manifest = build_table(TextReader(), root, out, mapper=counting(read), progress=progress).manifest
    assert read == ["s3.txt"]
    assert told == [(2, 3), (3, 3)]
    assert manifest == build_table(TextReader(), root, tmp_path / "whole").manifest
    assert (out / "part-00000.parquet").read_bytes() == (tmp_path / "whole" / "part-00000.parquet").read_bytes()
    assert len(read_table(out)) == 12


def test_nothing_but_the_table_is_left(root, out):
    assert parts(out)
    build_table(TextReader(), root, out)
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize(
    "changed",
    [
        {"window_s": 2},
        {"smoothing": "lds"},
        {"smoothing": "moving_average", "moving_average_windows": 3},
        {"filter_order": 3},
        # the same bands, one moved by a hertz, one renamed, and in another order
        {"bands": {**DEFAULT_BANDS, "delta": (1, 3)}},
        {"bands": {("low" if name == "delta" else name): edges for name, edges in DEFAULT_BANDS.items()}},
        {"bands": dict(reversed(DEFAULT_BANDS.items()))},
    ],
)
def test_other_settings_begin_anew_and_clear_away_what_was_kept(root, out, changed):
    read = []
    build_table(TextReader(), root, out, FeatureSpec(**changed), mapper=counting(read))
    assert read == ["s1.txt", "s2.txt", "s3.txt"]
    assert not parts(out)


@pytest.mark.parametrize(
    ("version", "value"),
    [("scmmlab.tables.build.EXTRACTION_VERSION", EXTRACTION_VERSION + 1), ("test_tables_build.TextReader.version", 2)],
)
def test_other_code_begins_anew(root, out, monkeypatch, version, value):
    monkeypatch.setattr(version, value)
    read = []
    build_table(TextReader(), root, out, mapper=counting(read))
    assert read == ["s1.txt", "s2.txt", "s3.txt"]


def test_another_reader_setting_begins_anew(root, out):
    read = []
    build_table(TextReader(seconds=3), root, out, mapper=counting(read))
    assert read == ["s1.txt", "s2.txt", "s3.txt"]


def test_a_raw_file_that_has_changed_begins_anew(root, out):
    (root / "s1.txt").write_text("1 1 99 A")
    read = []
    build_table(TextReader(), root, out, mapper=counting(read))
    assert read == ["s1.txt", "s2.txt", "s3.txt"]


def test_what_was_kept_and_is_damaged_is_made_again(root, out):
    for path in parts(out)[0].iterdir():
        path.write_bytes(path.read_bytes()[:-40])
    read = []
    build_table(TextReader(), root, out, mapper=counting(read))
    assert read == ["s1.txt", "s2.txt", "s3.txt"]


def test_a_mistake_in_the_corpus_leaves_nothing(root, out):
    (root / "s3.txt").write_text("3 7 3 A")
    with pytest.raises(CorpusError, match="A label is outside the classes"):
        build_table(TextReader(), root, out)
    assert not list(out.parent.iterdir())
