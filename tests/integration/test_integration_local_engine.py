"""The engine of this process."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import pytest
import torch
from engine_conformance import EngineConformance

from scmmlab.execution.local_engine import LocalEngine
from scmmlab.tables import read_table


class TestLocalEngineConformance(EngineConformance):
    def make_engine(self, resources, tables):
        return LocalEngine(resources, cache(read_table), checkpoint_s=0.0)

    def held(self):
        return torch.get_num_threads()


@pytest.mark.slow
def test_it_imports_no_ray(tmp_path):
    program = f"""
import sys
sys.path.insert(0, {os.path.dirname(sys.modules["tiny_study"].__file__)!r})
from pathlib import Path
from tiny_study import ablation, plan_of, sweep
from scmmlab.execution.engines import run_study
from scmmlab.study import ResultStore
store = ResultStore({str(tmp_path / "runs")!r})
for study in (ablation(Path({str(tmp_path)!r}), seeds=[0]), sweep(Path({str(tmp_path)!r}), tune_trials=1)):
    assert run_study(plan_of(study), store, "local").complete
assert "ray" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
