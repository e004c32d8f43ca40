"""`scmmlab bench`: what it measures, and what it needs to do so."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from scmmlab.cli.main import COMMANDS, main, make_parser

FORBIDDEN = ("ray", "mlflow", "optuna", "pandas", "mne", "matplotlib", "pyarrow", "scipy", "h5py")

ALONE = f"""
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FORBIDDEN!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled())
from scmmlab.cli.main import COMMANDS, main, make_parser
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_steps_are_measured_with_torch_and_the_model_alone(device):
    command = [sys.executable, "-c", ALONE, "bench", "--json", "--quick", "--device", device, "--no-features"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rates = json.loads(done.stdout)
    for kind in ("pretrain", "finetune"):
        assert rates[kind]["single"] > 0
        assert all(rate > 0 for rate in rates[kind]["packed"].values())
        assert rates[kind]["share_of_matmul_ceiling"] > 0
    assert "features" not in rates


def test_overhead_is_measured_by_a_run_whose_every_cell_is_judged(capsys):
    from scmmlab.benchmarks.overhead import benchmark_overhead

    found = benchmark_overhead("local", (5,))
    assert set(found) == {"5"}
    assert found["5"]["ms_per_trial"] > 0
    assert capsys.readouterr().out == ""


def test_each_method_without_pre_training_is_measured(capsys):
    assert main(["bench", "--methods", "--quick", "--json", "--threads", "1"]) == 0
    rates = json.loads(capsys.readouterr().out)
    assert {"dgcnn", "rgnn", "bidann"} <= set(rates)
    assert "scmm" not in rates
    for found in rates.values():
        assert all(rate > 0 for rate in found["steps_per_s"].values())
    assert set(rates["dgcnn"]["steps_per_s"]) == {"1", "4"}


def test_study_and_overhead_are_one_or_the_other(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--study", "--overhead", "10"])
    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.slow
def test_fixed_study_comes_to_the_same_numbers_in_all_ways(capsys, monkeypatch):
    from scmmlab.benchmarks.study import STUDY

    base = STUDY["base"]
    small = {kind: base[kind] | {"epochs": 1} for kind in ("pretrain", "finetune")}
    small |= {"network": {"width": 16, "classifier_width": 8}, "protocol": {"kind": "loso", "subjects_per_fold": 9}}
    monkeypatch.setitem(STUDY, "base", base | small)
    assert main(["bench", "--study", "--quick", "--workers", str(min(2, os.cpu_count() or 1)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same_numbers"]
    assert found["cells"] == 2
    assert set(found["seconds"]) == {"process_a_cell", "tune_trial_a_worker", "packs", "packs_in_one_process"}
    assert found["ratio"]["packs"] == 1.0


def test_fixed_study_has_24_cells_that_share_no_stage():
    from scmmlab.benchmarks.study import fixed_study
    from scmmlab.study import make_plan
    from scmmlab.tables import read_manifest

    plan = make_plan(fixed_study(), read_manifest)
    assert len(plan.distinct) == len(plan.pretraining) == 24


def test_each_command_has_the_module_that_is_imported_for_it():
    everything = make_parser()._subparsers_actions()[0].choices
    assert list(everything) == [command for commands in COMMANDS.values() for command in commands]
    for command in everything:
        assert command in make_parser(command)._subparsers_actions()[0].choices
