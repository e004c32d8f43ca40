"""A table comes back as it was written, and its fingerprint says so."""

import tempfile
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_strategies import columns, manifest, small_table, tables

from scmmlab.tables import FeatureTable, from_arrow, read_manifest, read_table, storage, to_arrow, write_table

COLUMNS = ("subject", "session", "trial", "window", "label", "features")


def assert_same(one, other):
    assert one.manifest == other.manifest
    for name in COLUMNS:
        assert getattr(one, name).dtype == getattr(other, name).dtype
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(max_examples=40, deadline=None)
@given(tables())
def test_what_is_read_is_what_was_written(table):
    with tempfile.TemporaryDirectory() as folder:
        written = write_table(table, f"{folder}/table")
        assert written == table.manifest == read_manifest(f"{folder}/table")
        assert_same(read_table(f"{folder}/table"), table)


@settings(max_examples=20, deadline=None)
@given(tables())
def test_arrow_holds_all_of_a_table(table):
    assert_same(from_arrow(table.manifest, to_arrow(table)), table)


@settings(max_examples=30, deadline=None)
@given(tables(), st.data())
def test_any_change_of_a_column_changes_the_fingerprint(table, data):
    name = data.draw(st.sampled_from(COLUMNS))
    changed = getattr(table, name).copy()
    changed.reshape(-1)[data.draw(st.integers(0, changed.size - 1))] += 1
    assert replace(table, **{name: changed}).content_fingerprint() != table.manifest.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": "other"},
        {"channels": ("Fz", "Pz", "Cz")},
        {"bands": {"alpha": (8.0, 14.0), "theta": (4.0, 8.0)}},
        {"window_s": 2.0},
        {"classes": ("negative", "positive", "neutral")},
        {"unit": "bit"},
        {"provenance": {"origin": "shipped"}},
        {"raw_files": {"a": "b"}},
    ],
)
def test_any_change_of_what_the_manifest_says_of_the_data_changes_the_fingerprint(change):
    assert small_table(**change).manifest.fingerprint != small_table().manifest.fingerprint


def test_a_new_wording_of_the_attribution_does_not_change_the_fingerprint():
    assert small_table(attribution="new", licence="newer").manifest.fingerprint == small_table().manifest.fingerprint


def test_rows_in_any_order_make_the_same_table():
    rows = columns()
    order = np.random.default_rng(0).permutation(len(rows["label"]))
    mixed = FeatureTable.assemble(manifest(), **{name: column[order] for name, column in rows.items()})
    assert_same(mixed, small_table())


def test_a_table_is_sorted_by_subject_session_trial_and_window():
    table = FeatureTable.assemble(manifest(), **columns(subjects=(2, 1), sessions=(3, 1)))
    keys = list(zip(table.subject, table.session, table.trial, table.window, strict=True))
    assert keys == sorted(keys)


def test_the_parquet_file_has_the_columns_and_the_fingerprint_of_the_design(tmp_path):
    written = write_table(small_table(), tmp_path / "table")
    schema = pq.read_schema(tmp_path / "table" / "part-00000.parquet")
    assert schema.names == ["corpus", "subject", "session", "trial", "window", "label", "features"]
    assert schema.field("features").type == pa.list_(pa.field("element", pa.float32(), nullable=False), 6)
    assert schema.field("subject").type == pa.int32()
    assert schema.metadata[b"scmmlab.fingerprint"].decode() == written.fingerprint
    rows = pq.read_table(tmp_path / "table" / "part-00000.parquet")
    assert set(rows.column("corpus").to_pylist()) == {"small"}
    np.testing.assert_array_equal(rows.column("features")[5].as_py(), small_table().features[5].reshape(-1))


def test_a_large_table_is_written_in_parts_and_read_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "ROWS_PER_PART", 10)
    write_table(small_table(), tmp_path / "table")
    assert len(list((tmp_path / "table").glob("part-*.parquet"))) == 5
    assert_same(read_table(tmp_path / "table"), small_table())


def test_the_same_table_is_written_as_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_table(small_table(), tmp_path / name)
    for name in ("manifest.json", "part-00000.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
