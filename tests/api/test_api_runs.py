"""A study run by Python is the study run by the command line, and its frames are what commands print."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pandas as pd
import pytest

from scmmlab.api.study import Study
from scmmlab.config import study_yaml
from scmmlab.errors import BusyError, SpecError, StoreError
from scmmlab.evaluation import Verdict
from scmmlab.report import ReportTable
from scmmlab.report.analyses import BestSetting, Comparison, MainResults, markers
from scmmlab.report.measures import MEASURES, number, p_value
from scmmlab.study import study_lease

pytestmark = pytest.mark.slow


@pytest.fixture(params=["ablation_run", "sweep_run"])
def either_run(request):
    return request.getfixturevalue(request.param)


def content(store: Path) -> dict[str, object]:
    """What a store holds, but for what bears a time, a pace or an id of the store."""
    files = {path.relative_to(store).as_posix(): path for path in store.rglob("*") if path.is_file()}
    return {
        name: tensors(path) if path.suffix == ".safetensors" else path.read_bytes()
        for name, path in files.items()
        if path.name not in ("identity.json", "packs.json", "optuna.db")
    }


def tensors(path: Path) -> tuple[object, bytes]:
    """Header and numbers; the order of a header's entries is by chance."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def test_both_write_the_same_bytes(either_run) -> None:
    mine = content(Path(either_run.study.store.uri))
    assert mine == content(either_run.by_command)
    assert any(name.endswith("report/report.html") for name in mine)
    assert either_run.run.complete
    assert either_run.study.complete


@pytest.mark.parametrize("by", ["fold", "subject"])
def test_results_are_what_the_command_prints(scmmlab, either_run, by) -> None:
    printed = scmmlab("results", either_run.file, "--store", either_run.by_command, "--by", by).out
    frame = either_run.study.results(by)
    assert frame.to_csv(index=False) == printed
    assert len(frame) == printed.count("\n") - 1 > 0
    assert frame.value.dtype == "float64"
    again = pd.read_csv(io.StringIO(printed), float_precision="round_trip")
    assert again.value.equals(frame.value)


def test_results_of_a_study_that_was_not_run_are_the_heading_that_the_command_prints(
    scmmlab, either_run, tmp_path: Path
) -> None:
    frame = Study.open(either_run.file, tmp_path).results()
    assert frame.to_csv(index=False) == scmmlab("results", either_run.file, "--store", tmp_path).out
    assert not list(tmp_path.iterdir())


def test_texts_that_csv_has_to_quote_and_settings_of_all_kinds_are_what_the_command_prints() -> None:
    from scmmlab.api.frames import results_frame
    from scmmlab.study import TuneTrialRecord, rows_csv, trial_rows

    kinds = {
        "a.flag": [True, False, None],
        "b.count": [1, None, 3],
        "c.number": [1.0, 1e-05, 1e16],
        "d.mixed": [1, 0.1, "none"],
        "e.text": ["x, y", 'a "quoted" text', "null"],
        "f.true": [True, True, False],
        "g.nothing": [None, None, None],
    }
    trials = [
        TuneTrialRecord(
            number=number,
            key=f"t{number}",
            params={path: values[number] for path, values in kinds.items()},
            intermediate=((2, 0.1 + 0.2), (4, 1 / 3)) if number else (),
            value=None,
            state="failed",
            error=error,
        )
        for number, error in enumerate(("two\nlines", None, "späße, 脑"))
    ]
    rows = trial_rows("s", trials)
    frame = results_frame(rows)
    assert frame.to_csv(index=False) == rows_csv(rows)
    assert frame["b.count"].dtype == "Int64"
    assert frame["a.flag"].dtype == "boolean"


def test_the_plan_the_status_and_the_run_are_what_the_commands_print(scmmlab, either_run) -> None:
    given = (either_run.file, "--store", either_run.study.store.uri)
    assert str(either_run.study.plan()) == scmmlab("plan", *given, "--no-estimate").out
    status = scmmlab("status", *given)
    assert str(either_run.study.status()) == status.out
    assert either_run.study.status().complete is (status.status == 0)
    assert str(either_run.run) in scmmlab("run", *given, "--engine", "local", "--tracking-uri", "none").out
    for shown in (either_run.study, either_run.study.plan(), either_run.study.status(), either_run.run):
        assert shown._repr_html_().startswith("<pre>")
        assert shown is either_run.study or repr(shown) == str(shown)


def test_cells_are_rows_of_plan_and_status(ablation_run, sweep_run) -> None:
    study = ablation_run.study
    cells = study.plan().cells
    assert cells.finished.all()
    assert list(cells.key) == [cell.key for cell in study.resolved.cells]
    assert cells.pretrain_key.isna().equals(cells.variant == "no_pretraining")
    states = study.status().cells
    assert list(states.key) == list(cells.key)
    assert set(states.state) == {"finished"}
    assert states.error.isna().all()
    assert len(study.status("1/2").cells) < len(states)
    assert sweep_run.study.plan().cells.empty
    assert list(sweep_run.study.status().cells.tune_trial) == [0, 1, 2, 3]


# --- the numbers of the report


def table(analysis, study: Study) -> ReportTable:
    return next(block for block in analysis.compute(study._collect()).blocks if isinstance(block, ReportTable))


def test_the_summary_has_the_numbers_of_the_reports_main_table(ablation_run) -> None:
    study = ablation_run.study
    measure = MEASURES["balanced_accuracy"]
    summary = study.summary().set_index("variant")
    shown = {row.cells[0].text.split("`")[1]: row.cells[1].text for row in table(MainResults(), study).rows[:-1]}
    assert shown == {name: measure.mean_sd(row["mean"], row["sd"]) for name, row in summary.iterrows()}
    assert dict(summary.leaks) == {"full": False, "no_pretraining": False, "released": True}
    assert (summary.subjects == 4).all()
    assert not study.summary("accuracy").equals(study.summary("macro_f1"))


def test_comparisons_have_the_numbers_of_the_reports_table(ablation_run) -> None:
    study = ablation_run.study
    measure = MEASURES["balanced_accuracy"]
    (found,) = study.comparisons().to_dict("records")
    (row,) = table(Comparison(), study).rows
    assert found["difference"] != 0
    assert [cell.text for cell in row.cells] == [
        markers.variant_label(study._collect(), found["variant"]),
        str(found["subjects"]),
        measure.difference(found["difference"]),
        measure.interval(found["low"], found["high"]),
        number(found["effect"], 2, sign=True),
        p_value(found["p"]),
        p_value(found["p_holm"]),
        found["verdict"],
    ]
    assert found["verdict"] in {verdict.value for verdict in Verdict}


def test_curves_are_those_of_the_records(ablation_run) -> None:
    study = ablation_run.study
    curves = study.curves("pretrain")
    assert set(curves.variant) == {"full", "released"}
    for cell in study.resolved.cells:
        record = study.store.get_cell(cell.key)
        own = curves[(curves.variant == cell.variant) & (curves.seed == cell.seed)]
        assert own.loss.tolist() == [point["loss"] for point in record["curves"]["pretrain"] or ()]
    assert set(study.curves().epoch) == set(range(1, 13))


def test_a_sweep_has_a_row_for_each_setting_and_the_best_one_is_the_reports(sweep_run) -> None:
    study = sweep_run.study
    trials = study.trials_dataframe()
    records = study.store.study_folder(study.name).trials().values()
    assert trials.number.tolist() == [record["number"] for record in records]
    assert trials["params_masking.ratio"].tolist() == [record["params"]["masking.ratio"] for record in records]
    complete = trials[trials.state == "complete"]
    best = study.best_trial
    assert best.value == complete.value.max()
    assert f"number {best.number} has the best" in BestSetting().compute(study._collect()).blocks[0].text


def test_what_a_kind_of_study_does_not_have_is_said(ablation_run, sweep_run) -> None:
    for method in (sweep_run.study.summary, sweep_run.study.comparisons, sweep_run.study.curves):
        with pytest.raises(SpecError, match="is a sweep: it has settings, not variants"):
            method()
    with pytest.raises(SpecError, match="is a sweep, which keeps no encoders"):
        sweep_run.study.encoder("0")
    with pytest.raises(SpecError, match="is an ablation: it has variants, not settings"):
        ablation_run.study.trials_dataframe()
    with pytest.raises(SpecError, match=r"'metric': it must be one of .* did you mean 'accuracy'"):
        ablation_run.study.summary("acuracy")
    with pytest.raises(SpecError, match="'by': it must be 'fold' or 'subject', got 'cell'"):
        ablation_run.study.results(by="cell")
    with pytest.raises(SpecError, match="'stage': it must be 'pretrain' or 'finetune', got 'test'"):
        ablation_run.study.curves("test")


# --- a run


def test_nothing_is_printed_unless_it_is_asked_for(ablation_run, tmp_path: Path, capfd, caplog) -> None:
    caplog.set_level(logging.INFO, "scmmlab")
    study = Study.open(ablation_run.file, tmp_path, set={"seeds": [0], "variants": {"full": {}}})
    heard = []
    assert study.run("local", progress=heard.append, tracking_uri="none").complete
    study.results(), study.summary(), study.report()
    assert capfd.readouterr() == ("", "")
    assert (heard[-1].done, heard[-1].total, heard[-1].failed) == (1, 1, 0)
    assert heard[-1].text.startswith("1/1 cells done")
    assert study.run("local", tracking_uri="none").summary.ran == 0
    out, err = capfd.readouterr()
    assert (out, err.strip()) == ("", "1/1 cells done · 0 running")


def test_parts_make_the_study_and_the_last_one_writes_the_report(ablation_run, tmp_path: Path) -> None:
    study = Study.open(ablation_run.file, tmp_path, set=["seeds=[0]"])
    first = study.run("local", part="1/2", progress=False, tracking_uri="none")
    assert first.complete
    assert first.report is None
    assert first.left == "Other parts are not finished yet; the last one to finish writes the report."
    ended = []
    last = study.run("local", part="2/2", progress=False, tracking_uri="none", part_ended=ended.append)
    assert last.report.paths.html.is_file()
    assert [summary.complete for summary in ended] == [True]
    with pytest.raises(SpecError, match="must be K/N with K from 1 to N, got '3/2'"):
        study.run("local", part="3/2")


def test_a_study_that_another_drives_says_so(scmmlab, ablation_run, tmp_path: Path) -> None:
    study = Study.open(ablation_run.file, tmp_path)
    values = Study.open(study.spec, tmp_path)
    with study_lease(study.store.study_folder(study.name), study.name, "wait"):
        assert "A driver has held it since 2" in str(study.status())
        with pytest.raises(BusyError, match="is already running: another driver has held it since 2") as refused:
            study.run("local", progress=False, tracking_uri="none")
        done = scmmlab("run", ablation_run.file, "--store", tmp_path, "--engine", "local", "--tracking-uri", "none")
        assert (done.status, done.err.splitlines()[-1]) == (2, f"Hint: {refused.value.hint}")
        with pytest.raises(BusyError) as refused:
            values.run("local", progress=False, tracking_uri="none")
        assert refused.value.hint.startswith("Study.status() shows how far it is.")
        with pytest.raises(BusyError, match="wait until it has ended"):
            study.sync()


def test_what_cannot_be_run_is_refused_before_anything_is_written(ablation_run, tmp_path: Path) -> None:
    study = Study.open(ablation_run.file, tmp_path)
    with pytest.raises(SpecError, match="'engine': it must be 'ray' or 'local', got 'rya'"):
        study.run("rya")
    with pytest.raises(SpecError, match=r"must begin with sqlite, .* got 'file:/x'"):
        study.run("local", tracking_uri="file:/x")
    with pytest.raises(StoreError, match="There is nothing to report") as refused:
        study.report()
    assert refused.value.hint == f"scmmlab run {ablation_run.file} --store {tmp_path}"
    assert not list(tmp_path.iterdir())


def test_a_cell_that_is_run_once_more_comes_out_the_same(ablation_run) -> None:
    again = ablation_run.study.rerun("full/source-to-target/1")
    assert again.cell.seed == 1
    assert again.differences == ()


def test_a_report_is_shown_and_written_where_one_likes(ablation_run, tmp_path: Path) -> None:
    report = ablation_run.study.report(tmp_path / "report")
    assert report.paths.html == tmp_path / "report" / "report.html"
    assert report.html == ablation_run.run.report.html
    assert report._repr_html_().startswith("<iframe srcdoc=")
    assert repr(report) == f"<Report {tmp_path}/report/report.html>"


def test_a_cell_that_fails_is_told_of_and_raises_nothing(scmmlab, tmp_path: Path) -> None:
    from tiny_study import ablation_with_a_failure

    study = Study.open(ablation_with_a_failure(tmp_path), tmp_path / "runs", set={"variants.no_contrast": None})
    run = study.run("local", progress=False, tracking_uri="none")
    assert not run.complete
    assert [failure.partition(" · ")[0] for failure in run.failures] == ["unscaled", "unscaled_frozen"]
    assert "failed: unscaled · " in run._repr_html_()
    cells = study.status().cells.set_index("variant")
    assert cells.state.to_dict() == {
        "full": "finished",
        "unscaled": "failed",
        "unscaled_frozen": "failed",
        "no_contrast": "finished",
    }
    assert cells.loc["unscaled", "stage"] == "pretrain"
    assert "epoch" in cells.loc["unscaled", "error"]
    assert set(study.results().variant) == {"full", "no_contrast"}
    assert study.summary().set_index("variant").subjects["unscaled"] == 0
    (tmp_path / "study.yaml").write_text(study_yaml(study.spec))
    assert str(study.status()) == scmmlab("status", tmp_path / "study.yaml", "--store", tmp_path / "runs").out
