"""What is wrong with MLflow's database is said in a sentence, by a run, which goes on, by sync and by the UI."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tracker_conformance import FULL, INPUTS, SPEC, VERSIONS, record

from scmmlab.errors import StoreError
from scmmlab.tracking import MlflowTracker, default_tracking_uri, study_page
from scmmlab.tracking.trouble import reason

pytestmark = pytest.mark.slow


@contextmanager
def every_connection(statement: str) -> Iterator[None]:
    """Have SQLite told something on each connection that MLflow opens."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def tell(connection, _) -> None:
        connection.execute(statement)

    event.listen(Engine, "connect", tell)
    try:
        yield
    finally:
        event.remove(Engine, "connect", tell)


@contextmanager
def full(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file)) as database:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
    with every_connection(f"PRAGMA max_page_count = {pages}"):
        yield


@contextmanager
def read_only(file: Path) -> Iterator[None]:
    with every_connection("PRAGMA query_only = 1"):
        yield


@contextmanager
def of_another_version(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'abcdef123456'")
    yield


@contextmanager
def of_a_newer_version(file: Path) -> Iterator[None]:
    with of_another_version(file), closing(sqlite3.connect(file)) as database, database:
        database.execute("DROP TABLE metrics")
    yield


@contextmanager
def no_database(file: Path) -> Iterator[None]:
    file.write_bytes(b"hello world" * 1000)
    yield


@contextmanager
def a_folder(file: Path) -> Iterator[None]:
    file.unlink()
    file.mkdir()
    yield


TROUBLES = [
    (full, "the disk of its database is full"),
    (read_only, "its database cannot be written: it, or its file system, is read-only"),
    (of_another_version, "its database is of another version of MLflow (schema abcdef123456, this one has "),
    (of_a_newer_version, "its database is of a"),
    (no_database, "its database is damaged, or not a SQLite database"),
    (a_folder, "its database cannot be opened: a folder is missing, or may not be accessed"),
]


@pytest.mark.parametrize(("trouble", "said"), TROUBLES, ids=[trouble.__name__ for trouble, _ in TROUBLES])
def test_a_database_in_trouble_is_a_sentence_and_no_trace(
    trouble, said, tmp_path, empty_database, capfd, caplog
) -> None:
    file = tmp_path / "mlflow.db"
    shutil.copy(empty_database, file)
    uri = default_tracking_uri(tmp_path)

    def tell(tracker) -> None:
        tracker.start_study("small", SPEC, "the plan " * 10_000, VERSIONS)
        tracker.finish_cell(FULL, INPUTS, record(FULL, epochs=200))
        tracker.finish_study(None, complete=True)

    with trouble(file):
        with MlflowTracker(uri, (tmp_path / "a").as_uri(), retry_s=0.1) as tracker:
            tell(tracker)
        trouble_told, dropped = (entry.getMessage() for entry in caplog.records)
        assert trouble_told.startswith("Cannot write to MLflow, will retry; the study goes on: " + said)
        assert "tracking events were not written. Nothing is lost" in dropped
        with (
            pytest.raises(StoreError) as raised,
            MlflowTracker(uri, (tmp_path / "a").as_uri(), direct=True) as tracker,
        ):
            tell(tracker)
        assert said in raised.value.message
        assert "\n" not in raised.value.message
        if trouble not in (full, read_only):  # those can be read
            with pytest.raises(StoreError, match="cannot be shown"):
                study_page(uri, "small", 5000)
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err + printed.out
    assert "SQL" not in printed.err.replace("SQLite", "")


def test_a_database_that_another_program_has_locked_says_so(tmp_path) -> None:
    file = tmp_path / "some.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with (
            closing(sqlite3.connect(file, timeout=0)) as database,
            pytest.raises(sqlite3.OperationalError) as raised,
        ):
            database.execute("CREATE TABLE something (x)")
    assert reason(raised.value) == "its database is locked by another program"


def test_a_schema_that_mlflow_does_not_know_is_of_a_newer_version() -> None:
    found = reason(Exception("Can't locate revision identified by 'abcdef123456'"))
    assert found == "its database is of a newer version of MLflow (schema abcdef123456, which this one does not know)"


def test_what_is_not_known_is_told_by_its_first_line() -> None:
    assert reason(ValueError("the first line\nthe second")) == "the first line"
    assert reason(KeyError()) == "KeyError"
