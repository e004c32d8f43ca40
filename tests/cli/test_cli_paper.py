"""The study of the paper's transfers, planned and run on made-up corpora of two subjects."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scmmlab.config import load_study

PAPER = Path(__file__).parents[2] / "ablations" / "paper.yaml"
SMALL = [
    "seeds=[0]",
    "base.network.width=8",
    "base.pretrain.epochs=1",
    "base.finetune.epochs=2",
    "transfers.seed-to-deap.set.finetune.epochs=2",
]
CORPORA = ("seed", "seed_iv", "deap")


@pytest.fixture
def paper(rehearsals, tmp_path: Path) -> Path:
    """The study beside its tables, as the repository has it beside `tables/`."""
    (tmp_path / "tables").mkdir()
    for name in CORPORA:
        (tmp_path / "tables" / name).symlink_to(rehearsals.table(name))
    (tmp_path / "ablations").mkdir()
    return Path(shutil.copy(PAPER, tmp_path / "ablations"))


def small() -> list[str]:
    return [word for change in SMALL for word in ("--set", change)]


def test_each_transfer_has_its_published_settings() -> None:
    published = {
        "seed-to-seed_iv": (0.75, 0.5, 0.5),
        "seed_iv-to-seed": (0.5, 0.05, 0.5),
        "deap-to-seed": (0.5, 0.05, 0.5),
        "seed-to-deap": (0.5, 0.2, 0.05),
    }
    transfers = {transfer.name: transfer for transfer in load_study(PAPER).study.transfers}
    names = ("upper_bound", "soft_weight_temperature", "temperature")
    for name, settings in published.items():
        assert transfers[name].set["contrast"] == dict(zip(names, settings, strict=True))
    assert [name for name, transfer in transfers.items() if "finetune.epochs" in transfer.set] == ["seed-to-deap"]
    assert transfers["seed-to-deap"].set["finetune.epochs"] == 500


@pytest.mark.slow
def test_the_paper_runs_and_the_report_gives_the_gap_of_each_transfer(scmmlab, paper, tmp_path: Path) -> None:
    planned = scmmlab("plan", paper, "--store", tmp_path / "runs", *small())
    assert planned.status == 0, planned.err
    assert "2 variants × 5 transfers × 1 seed = 10 cells" in planned.out
    assert "sad → negative, neutral → neutral, happy → positive (fear left out)" in planned.out
    assert "classes neutral, sad, fear, happy" in planned.out
    assert "Features of deap (computed) and seed (shipped) are mixed, as the study says" in planned.out
    assert "with contrast.upper_bound 0.75, contrast.soft_weight_temperature 0.5" in planned.out

    ran = scmmlab("run", paper, "--engine", "local", "--store", tmp_path / "runs", "--tracking-uri", "none", *small())
    assert ran.status == 0, ran.err
    report = (tmp_path / "runs" / "studies" / "paper" / "report" / "report.md").read_text()
    leaks = report[report.index("## What leaks do to the figures") :]
    table = leaks[leaks.index("gap (pp)") : leaks.index("![")]
    for transfer in load_study(paper).study.transfers:
        row = table.split(f"`{transfer.name}`", 1)[1].strip().splitlines()[1]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[0].startswith("`released` ‡")
        assert cells[1].startswith("`honest`")
        honest, released = (float(cells[column].split(" ")[0]) for column in (4, 3))
        gap = float(cells[5].replace("−", "-"))
        assert gap == pytest.approx(released - honest, abs=0.11)


@pytest.mark.slow
def test_features_are_not_mixed_unless_the_study_says_so(scmmlab, paper, tmp_path: Path) -> None:
    done = scmmlab("plan", paper, "--store", tmp_path, *small(), "--set", "transfers.deap-to-seed.mixed_features=false")
    assert done.status == 2
    assert "cannot be mixed" in done.err


@pytest.mark.slow
def test_sixteen_trials_of_seed_iv_in_time_leave_no_sad_one_and_the_plan_says_so(
    scmmlab, paper, tmp_path: Path
) -> None:
    for transfer, trials, name in (("seed-to-seed_iv", 12, "negative"), ("seed-to-seed_iv-four", 16, "sad")):
        in_time = [
            "--set", f"transfers.{transfer}.set.protocol.trial_order=time",
            "--set", f"transfers.{transfer}.set.protocol.finetune_trials={trials}",
        ]  # fmt: skip
        for command in (["plan"], ["run", "--engine", "local", "--tracking-uri", "none"]):
            done = scmmlab(*command, paper, "--store", tmp_path / "runs", *small(), *in_time)
            assert done.status == 2
            assert f"transfer '{transfer}'" in done.err
            assert f"no trial of class '{name}' in the test part" in done.err
            assert "time_within_class" in done.err
    assert not (tmp_path / "runs" / "cells").exists()
