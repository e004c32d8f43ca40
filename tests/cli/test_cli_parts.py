"""A study run in parts, by commands: tables as of an undivided run, a report by the last part, MLflow once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.slow
def test_parts_make_the_tables_of_an_undivided_run_and_the_last_one_finishes_the_study(
    scmmlab, study, finished, tmp_path: Path
) -> None:
    store = tmp_path / "runs"

    def run(number: int):
        return scmmlab("run", study, "--engine", "local", "--store", store, "--part", f"{number}/3")

    for number in (3, 1):
        done = run(number)
        assert done.status == 0, done.err
        assert done.out == (
            f"Part {number}/3: 2 of 2 cells are finished.\n"
            "Other parts are not finished yet; the last one to finish writes the report.\n"
        )
        assert not (store / "studies/tiny/report").exists()
        assert not (store / "studies/tiny/mlflow.db").exists()
    assert scmmlab("status", study, "--store", store, "--part", "3/3").status == 0
    unfinished = scmmlab("status", study, "--store", store, "--part", "2/3")
    assert unfinished.status == 1
    assert unfinished.out.startswith("2 cells: 0 finished, 0 failed, 2 missing\n")
    assert "Last result" not in unfinished.out
    assert "\nLast result or checkpoint: 2" in scmmlab("status", study, "--store", store).out
    last = run(2)
    assert last.status == 0, last.err
    assert last.out.startswith("Part 2/3: 2 of 2 cells are finished.\n")
    assert f"Report:  {store}/studies/tiny/report/report.html" in last.out
    assert (store / "studies/tiny/mlflow.db").exists()
    for by in ("fold", "subject"):
        divided, undivided = (scmmlab("results", study, "--store", place, "--by", by) for place in (store, finished))
        assert divided.out == undivided.out
    report = "studies/tiny/report/report.md"
    assert (store / report).read_text() == (finished / report).read_text()


def test_what_is_no_part_is_refused_before_anything_is_written(scmmlab, study, tmp_path: Path) -> None:
    store = tmp_path / "runs"
    for wrong in ("0/3", "4/3", "3", "a/b", "-1/3"):
        refused = scmmlab("run", study, "--store", store, f"--part={wrong}")
        assert refused.status == 2
        assert f"argument --part: it must be K/N with K from 1 to N, got '{wrong}'." in refused.err
    many = scmmlab("run", study, "--store", store, "--part", "1/7")
    assert many.status == 2
    assert "'tiny' cannot be divided into 7 parts: its 6 cells start from 6 pre-trainings" in many.err
    assert not store.exists()
