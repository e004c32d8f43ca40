"""A report is self-contained, says what is missing, marks what leaks, and survives a broken analysis."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from report.example_results import ablation, ablation_results, record, sweep_results
from scmmlab.config import AblationSpec
from scmmlab.report import (
    Analysis,
    Card,
    CellResult,
    Figure,
    NotReady,
    ReportPaths,
    ReportTable,
    StudyResults,
    analyses_of,
    completeness,
    compute_cards,
    write_report,
)
from scmmlab.report.analyses import Comparison, ConfusionMatrices, InShort, LeakPage, MainResults, Missing, WhatWasRun
from scmmlab.report.drawing import figure_style
from scmmlab.report.summary import summary_table
from scmmlab.report.values import subject_scores

HOSTILE = '<script>alert(1)</script> & "quotes" `code'


class Page(HTMLParser):
    """The attributes of every element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def results() -> StudyResults:
    found = ablation_results()
    study = found.ablation.model_copy(update={"description": HOSTILE})
    return dataclasses.replace(found, study=study)


@pytest.fixture(scope="module")
def paths(results: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> ReportPaths:
    return write_report(results, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def cards(results: StudyResults) -> list[Card]:
    with figure_style():
        return compute_cards(analyses_of(results), results)


@pytest.fixture(scope="module")
def html(paths: ReportPaths) -> str:
    return paths.html.read_text()


def test_html_needs_nothing_beside_it(html: str) -> None:
    for tag, attributes in Page(html).elements:
        assert tag not in ("link", "script", "iframe", "object", "img")
        for name in ("src", "href", "xlink:href", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_html_ids_are_unique_and_links_lead_somewhere(html: str) -> None:
    elements = Page(html).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {(attributes.get("href") or "").removeprefix("#") for _, attributes in elements if "href" in attributes}
    assert links <= set(ids)


def test_text_of_the_user_is_escaped(html: str) -> None:
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "not finite &lt;nan&gt;" in html


def test_every_figure_has_a_caption_a_picture_and_a_file(results: StudyResults, paths: ReportPaths, html: str) -> None:
    figures = [attributes for tag, attributes in Page(html).elements if tag == "figure"]
    assert {f"figure-{path.stem}" for path in paths.figures} == {attributes["id"] for attributes in figures}
    assert html.count("<figcaption>") == html.count("<svg ") == len(figures)
    markdown = paths.markdown.read_text()
    for path in paths.figures:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert f"(figures/{path.name})" in markdown


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    study = ablation(("eegmat",), ("full", "released"))
    analyses = [MainResults(), ConfusionMatrices(), LeakPage()]
    one, other = (write_report(ablation_results(study), tmp_path / name, analyses) for name in ("one", "other"))
    for first, second in zip(
        [one.html, one.markdown, one.latex, *one.figures],
        [other.html, other.markdown, other.latex, *other.figures],
        strict=True,
    ):
        assert first.read_bytes() == second.read_bytes(), first.name


def test_an_incomplete_study_is_called_so_and_what_is_missing_is_named(paths: ReportPaths, html: str) -> None:
    banner = "Incomplete: 2 of 48 cells missing, 1 of 48 cells failed, 1 of 48 cells with folds missing."
    assert html.index(banner) < html.index("<section")
    markdown = paths.markdown.read_text()
    assert banner in markdown
    assert rf"\textbf{{{banner}}}" in paths.latex.read_text()
    assert re.search(r"`no_masking` \| `to_film` \| 1 \| missing", markdown)
    assert re.search(r"`hard_weights` \| `eegmat` \| 2 \| failed \| TrainingError: the loss of epoch 3", markdown)
    assert re.search(r"`no_contrast` \| `eegmat` \| 1 \| folds missing \| not tested: 3 subjects \(33-35\)", markdown)
    assert "all 48 finished" not in html


def test_every_table_that_shows_a_released_variant_says_so(cards: list[Card]) -> None:
    tables = [block for card in cards for block in card.blocks if isinstance(block, ReportTable)]
    showing = [
        table
        for table in tables
        if any(
            re.match("`released`", text)
            for text in [*table.columns, *(cell.text for row in table.rows for cell in row.cells)]
        )
    ]
    assert len(showing) >= 8
    for table in showing:
        texts = [*table.columns, *(cell.text for row in table.rows for cell in row.cells)]
        assert all("‡" in text for text in texts if text.startswith("`released`")), table.name
        assert any("chooses by test labels" in note for note in table.notes), table.name


def test_a_complete_study_is_called_complete(tmp_path: Path) -> None:
    results = ablation_results(ablation(("eegmat",), ("full", "no_masking")), holes=False)
    assert completeness(results).complete
    paths = write_report(results, tmp_path, [MainResults(), Missing()])
    markdown = paths.markdown.read_text()
    assert "Incomplete" not in markdown
    assert "all 6 finished" in markdown
    assert "Nothing: all 6 cells are there." in markdown


def test_a_cell_that_nobody_planned_for_is_missing_all_the_same() -> None:
    results = ablation_results(ablation(("eegmat",), ("full", "no_masking")), holes=False)
    found = completeness(dataclasses.replace(results, cells=results.cells[:-1]))
    assert found.missing == (("no_masking", "eegmat", 2),)
    assert found.in_words() == "Incomplete: 1 of 6 cells missing."


def test_a_finished_cell_that_lacks_a_subject_is_not_complete() -> None:
    results = ablation_results(ablation(("to_film",), ("full", "no_masking")), holes=False)
    assert results.cells[0].record is not None
    results.cells[0].record["folds"].pop()
    found = completeness(results)
    assert not found.complete
    # the target names no subjects, so the manifest says who they are; and without it, the other cells
    for known in (results, dataclasses.replace(results, corpora={})):
        assert completeness(known).untested == ((results.cells[0], (9, 10, 11)),)


class Broken(Analysis):
    slug = "broken"
    title = "Broken"

    def compute(self, results: StudyResults) -> Card:
        raise ZeroDivisionError("division by <zero>")


class Early(Analysis):
    slug = "early"
    title = "Early"

    def compute(self, results: StudyResults) -> Card:
        raise NotReady("There is nothing yet.")


def test_a_broken_analysis_costs_its_section_and_not_the_report(
    results: StudyResults, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = write_report(results, tmp_path, [Broken(), Early(), Missing()])
    html = paths.html.read_text()
    assert "This section could not be computed: ZeroDivisionError: division by &lt;zero&gt;" in html
    assert "There is nothing yet." in html
    assert "What is missing" in html
    assert "analysis 'broken' failed" in caplog.text


def nothing_finished() -> StudyResults:
    results = ablation_results(holes=False)
    cells = tuple(dataclasses.replace(cell, state="missing", record=None) for cell in results.cells)
    return dataclasses.replace(results, cells=cells)


def one_subject() -> StudyResults:
    """One variant, seed, transfer and subject: nothing to compare, no spread, no interval."""
    study = ablation(("eegmat",), ("full", "released"))
    study = AblationSpec.model_validate({**study.model_dump(mode="json"), "seeds": [0]})
    cells = []
    for cell in ablation_results(study, holes=False).cells:
        assert cell.record is not None
        fold = cell.record["folds"][0]
        fold["by_subject"] = {"18": fold["by_subject"]["18"]}
        cells.append(dataclasses.replace(cell, record={**cell.record, "folds": [fold]}))
    return StudyResults(study, tuple(cells))


@pytest.mark.parametrize(
    "results",
    [nothing_finished(), one_subject(), sweep_results(0), sweep_results(3), sweep_results(), StudyResults(ablation())],
    ids=["nothing finished", "one subject", "no setting", "three settings", "sweep", "no plan"],
)
def test_no_analysis_breaks_on_thin_data(results: StudyResults) -> None:
    with figure_style():
        cards = compute_cards(analyses_of(results), results)
    assert [card.slug for card in cards if card.state == "failed"] == []


def test_kappa_is_written_without_percent() -> None:
    study = ablation(("eegmat",), ("full", "no_masking"))
    study = AblationSpec.model_validate(
        {**study.model_dump(mode="json"), "statistics": {"metric": "cohen_kappa", "bootstrap_samples": 200}}
    )
    with figure_style():
        cards = compute_cards([InShort(), MainResults(), Comparison()], ablation_results(study, holes=False))
    assert all(card.state == "ready" for card in cards)
    assert "%" not in str(cards[0].blocks).replace("95 %", "")


def test_each_label_regime_has_a_table_of_its_own_and_what_saw_the_tested_windows_is_marked() -> None:
    study = ablation(("eegmat",), ("full", "no_contrast", "no_masking", "hard_weights")).model_dump(mode="json")
    seen = {"protocol.kind": "uda_transductive", "protocol.trial_order": "time_within_class"}
    study["variants"]["no_contrast"] = {"set": seen}
    study["variants"]["hard_weights"] = {"set": {"protocol.kind": "zero_shot"}}
    results = ablation_results(AblationSpec.model_validate(study), holes=False)
    tables = {block.name: block for block in MainResults().compute(results).blocks if isinstance(block, ReportTable)}
    rows = {name: [row.cells[0].text for row in table.rows] for name, table in tables.items()}
    assert rows == {
        "main-target_pool": ["`full` (reference)", "`no_masking`", "chance"],
        "main-uda_transductive": ["`no_contrast` §", "chance"],
        "main-source_only": ["`hard_weights` ¶", "chance"],
    }
    assert "the tested windows may be seen without labels" in tables["main-uda_transductive"].caption
    assert any("§ `uda_transductive` protocol" in note for note in tables["main-uda_transductive"].notes)
    assert not any("▲" in note for note in tables["main-source_only"].notes), "nothing is compared there"
    shown = summary_table(results)
    assert shown.index("no_masking") < shown.index("no_contrast §") < shown.index("hard_weights ¶")


def by_both_protocols(*names: str) -> StudyResults:
    """Results of `no_contrast` under the transductive and `no_masking` under the inductive protocol, else equal."""
    study = ablation(("eegmat",), ("full", "no_contrast", "no_masking", "released")).model_dump(mode="json")
    kinds = {"no_contrast": "uda_transductive", "no_masking": "uda_inductive"}
    for name, kind in kinds.items():
        study["variants"][name] = {"set": {"protocol.kind": kind, "protocol.trial_order": "time_within_class"}}
    study["variants"] = {name: values for name, values in study["variants"].items() if name in names}
    return ablation_results(AblationSpec.model_validate(study), holes=False)


def test_the_leak_page_shows_what_the_tested_windows_add() -> None:
    results = by_both_protocols("full", "no_contrast", "no_masking")
    (card,) = compute_cards([LeakPage()], results)
    assert card.state == "ready"
    text, table = card.blocks
    assert isinstance(table, ReportTable)
    assert table.name == "transductive"
    assert "No label leaks" in str(text)
    assert any("§ `uda_transductive` protocol" in note for note in table.notes)
    (row,) = table.rows
    shown = [cell.text for cell in row.cells]
    means = [
        np.mean(
            [
                np.mean(
                    [subject_scores(cell.record, "balanced_accuracy")[one] for cell in results.finished(name, "eegmat")]
                )
                for one in range(18, 36)
            ]
        )
        for name in ("no_contrast", "no_masking")
    ]
    assert shown[:3] == ["`no_contrast` §", "`no_masking` ¶", "18"]
    assert [shown[3].split(" ")[0], shown[4].split(" ")[0]] == [f"{100 * mean:.1f}" for mean in means]
    assert float(shown[5].replace("−", "-")) == pytest.approx(100 * (means[0] - means[1]), abs=0.051)


def test_the_leak_page_keeps_both_kinds_of_gap_apart() -> None:
    (card,) = compute_cards([LeakPage()], by_both_protocols("full", "no_contrast", "no_masking", "released"))
    tables = [block.name for block in card.blocks if isinstance(block, ReportTable)]
    assert tables == ["leaks", "epochs", "transductive"]


@pytest.mark.parametrize("alone", ["no_contrast", "no_masking"])
def test_one_protocol_of_domain_adaptation_has_no_gap(alone: str) -> None:
    (card,) = compute_cards([LeakPage()], by_both_protocols("full", alone))
    assert card.state == "not_ready"


def test_what_few_subjects_cannot_show_is_said() -> None:
    study = ablation(("eegmat",), ("full", "no_masking"))
    cells = [
        CellResult(variant, "eegmat", 0, variant, cell.experiment, "finished", record(study, variant, "eegmat", 0))
        for variant in ("full", "no_masking")
        for cell in [ablation_results(study).cells[0]]
    ]
    for cell in cells:
        assert cell.record is not None
        del cell.record["folds"][1:]
    card = InShort().compute(StudyResults(study, tuple(cells)))
    assert "With 3 subjects and 1 comparison, the least p that Holm's correction leaves possible is 0.250" in str(card)


def test_pretraining_on_the_tested_subjects_is_said() -> None:
    study = ablation(("eegmat",), ("full",)).model_dump(mode="json")
    study["transfers"][0]["source"]["subjects"] = "10-20"
    results = StudyResults(AblationSpec.model_validate(study), (), ablation_results().corpora)
    assert "share 3 subjects of one table (18-20), so pre-training sees windows of the test parts" in str(
        WhatWasRun().compute(results)
    )
    assert "transductive" not in str(WhatWasRun().compute(ablation_results()))


def test_a_stale_figure_of_an_earlier_report_is_removed(results: StudyResults, tmp_path: Path) -> None:
    write_report(results, tmp_path, [MainResults()])
    assert (tmp_path / "figures" / "main.png").exists()
    paths = write_report(results, tmp_path, [Missing()])
    assert paths.figures == ()
    assert not list((tmp_path / "figures").iterdir())


def test_figures_and_tables_have_names_of_their_own(cards: list[Card]) -> None:
    named = [block for card in cards for block in card.blocks if isinstance(block, Figure | ReportTable)]
    assert len({(type(block), block.name) for block in named}) == len(named)


PUBLISHED = {
    "A-LSTM": [
        {"transfer": "eegmat", "value": 71.5, "sd": 8.0, "source": "Song 2019, table 2", "regime": "source_only"},
        {"transfer": "eegmat", "value": 74, "source": "Song 2019, table 3", "regime": "target_pool"},
    ],
    "E2STN": [
        {
            "transfer": "eegmat",
            "value": 0.42,
            "metric": "cohen_kappa",
            "source": "Zhou 2023, table 1",
            "regime": "target_pool",
        }
    ],
}


def test_published_figures_stand_apart_in_the_table_of_their_regime_and_change_nothing_else() -> None:
    study = ablation(("eegmat",), ("full", "no_masking")).model_dump(mode="json")
    without = ablation_results(AblationSpec.model_validate(study), holes=False)
    published = dataclasses.replace(without, study=AblationSpec.model_validate({**study, "published": PUBLISHED}))
    (table,) = [block for block in MainResults().compute(without).blocks if isinstance(block, ReportTable)]
    pool, source = [block for block in MainResults().compute(published).blocks if isinstance(block, ReportTable)]
    assert pool.rows[: len(table.rows)] == table.rows
    added = [[cell.text for cell in row.cells] for row in pool.rows[len(table.rows) :]]
    assert added == [
        ["published, not run here"],
        ["`A-LSTM`, accuracy (Song 2019, table 3)", "74.0"],
        ["`E2STN`, cohen_kappa (Zhou 2023, table 1)", "0.420"],
    ]
    assert [row.cells[-1].text for row in source.rows if row.kind == "plain"] == ["71.5 ± 8.0"]
    assert any("nothing is tested against them" in note for note in pool.notes)
    shown = summary_table(published)
    assert shown.index("chance") < shown.index("published, not run here:") < shown.index("A-LSTM")
    with figure_style():
        for analysis in (InShort(), Comparison()):
            assert str(analysis.compute(without).blocks[:1]) == str(analysis.compute(published).blocks[:1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transfer": "seed"}, "must name one of the transfers"),
        ({"value": 101}, "value must be from 0 to 100 for 'accuracy', got 101"),
        ({"metric": "cohen_kappa"}, "value must be from -1 to 1 for 'cohen_kappa', got 71.5"),
        ({"source": ""}, "at least 3 characters"),
        ({"regime": "honest"}, "target_few"),
    ],
)
def test_a_published_figure_that_cannot_be_one_is_refused(change: dict[str, Any], message: str) -> None:
    study = ablation(("eegmat",), ("full", "no_masking")).model_dump(mode="json")
    study["published"] = {"A-LSTM": [{**PUBLISHED["A-LSTM"][0], **change}]}
    with pytest.raises(ValidationError, match=message):
        AblationSpec.model_validate(study)


def test_a_published_figure_must_not_pass_for_a_variant() -> None:
    study = ablation(("eegmat",), ("full", "no_masking")).model_dump(mode="json")
    study["published"] = {"full": PUBLISHED["A-LSTM"]}
    with pytest.raises(ValidationError, match=r"published\.full must have another name than a variant"):
        AblationSpec.model_validate(study)
