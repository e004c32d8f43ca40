"""The Python of README.md and docs/python.md runs as it stands there, on studies of seconds of the same names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scmmlab.config import AblationSpec, SweepSpec, study_yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A working directory like the repository, with tiny studies."""
    from tiny_study import VARIANTS, ablation, sweep

    def as_demo(study: AblationSpec | SweepSpec) -> str:
        (transfer,) = study.transfers
        return study_yaml(
            study.model_copy(update={"transfers": (transfer.model_copy(update={"name": "eegmat-a-to-b"}),)})
        )

    variants = {name: VARIANTS[name] for name in ("full", "no_contrast")}
    studies = {
        "ablations/demo.yaml": ablation(tmp_path, name="demo", variants=variants),
        "search_spaces/demo.yaml": sweep(tmp_path, name="demo-sweep"),
    }
    for name, study in studies.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(as_demo(study))
    monkeypatch.chdir(tmp_path)
    for variable in ("SCMMLAB_STORE", "SCMMLAB_SITE", "SCMMLAB_TRACKING_URI", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_every_line_of_python_on_the_page_runs(folder: Path, page: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    assert (folder / "runs" / "studies" / "demo" / "report" / "report.html").is_file()
    assert (folder / "runs" / "studies" / "demo" / "mlflow.db").is_file()
    if page == "docs/python.md":
        assert len(names["z"]) == 144
        assert names["study"].rerun("no_contrast/eegmat-a-to-b/1").differences == ()
