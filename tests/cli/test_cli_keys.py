"""What a user sees of keys: they are printed, edited code has its own, and those of an earlier version are told of."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import scmmlab as package

ONE_CELL = (
    *("--set", "seeds=[0]", "--set", "variants={full: {}}"),
    *("--set", "base.pretrain={epochs: 6, batch_size: 32, optimizer: {learning_rate: 0.05}}"),
)


def test_the_plan_as_json_has_the_keys_of_cells_and_stages(scmmlab, study, tmp_path: Path) -> None:
    done = scmmlab("plan", study, "--store", tmp_path, "--json")
    assert done.status == 0
    cells = json.loads(done.out)["cells"]
    assert len({cell["key"] for cell in cells}) == 6
    assert len({cell["pretrain_key"] for cell in cells}) == 6
    assert {(cell["variant"], cell["seed"]) for cell in cells} == {
        (variant, seed) for variant in ("full", "no_aggregator", "released") for seed in (0, 1)
    }
    # by what it means, and not by where it is written
    assert scmmlab("plan", study, "--store", tmp_path, "--json", "--set", "name=other").out.count('"key"') == 7


@pytest.mark.slow
def test_an_edited_loss_has_results_of_its_own_and_the_old_ones_come_back_with_the_old_code(
    scmmlab, study, tmp_path: Path
) -> None:
    source = Path(package.__file__).parent
    edited = tmp_path / "scmmlab"
    shutil.copytree(source, edited, ignore=shutil.ignore_patterns("__pycache__"))
    loss = edited / "methods" / "scmm" / "contrast.py"
    released = loss.read_text(encoding="utf-8")
    other = released.replace("- weighed_R", "+ 5.0 * weighed_R")
    assert other != released

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "scmmlab.cli.main", *map(str, arguments), "--store", str(tmp_path / "runs")],
            env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
        )

    def run() -> tuple[str, str]:
        done = command("run", study, "--engine", "local", "--tracking-uri", "none", *ONE_CELL)
        assert done.returncode == 0, done.stderr
        results = command("results", study, *ONE_CELL)
        return results.stdout, done.stderr

    before, told = run()
    assert "not a released one" not in told
    loss.write_text(other, encoding="utf-8")
    after, told = run()
    assert "not a released one: methods/scmm/contrast.py edited" in told
    assert after != before
    stored = set((tmp_path / "runs" / "cells").iterdir())
    assert len(stored) == 2
    loss.write_text("# a thought about it\n" + released, encoding="utf-8")
    again, told = run()
    assert "not a released one" not in told
    assert again == before
    assert set((tmp_path / "runs" / "cells").iterdir()) == stored


def test_results_under_earlier_keys_are_told_of_and_nothing_is_lost(scmmlab, study, tmp_path: Path) -> None:
    folder = tmp_path / "studies" / "tiny"
    folder.mkdir(parents=True)
    planned = json.loads(scmmlab("plan", study, "--store", tmp_path, "--json").out)
    del planned["keys"]
    (folder / "plan.json").write_text(json.dumps(planned), encoding="utf-8")
    (folder / "versions.json").write_text(json.dumps({"scmmlab": "0.1.0", "commit": "abc"}), encoding="utf-8")
    for name in ("results", "status"):
        told = scmmlab(name, study, "--store", tmp_path).err
        assert "results under keys of version 1" in told
        assert "remain available to scmmlab 0.1.0 (abc)." in told
    refused = scmmlab("report", study, "--store", tmp_path)
    assert refused.status == 2
    assert "under keys of version 1" in refused.err
