"""The Python of README.md, docs/python.md and docstrings runs as it stands, on studies of seconds of the same names."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import scmmlab
from scmmlab.config import AblationSpec, SweepSpec, study_yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A working directory like the repository, with tiny studies."""
    from tiny_study import VARIANTS, ablation, sweep

    def as_demo(study: AblationSpec | SweepSpec) -> str:
        (transfer,) = study.transfers
        renamed = transfer.model_copy(update={"name": "eegmat-a-to-b"})
        return study_yaml(study.model_copy(update={"transfers": (renamed,)}))

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
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "none")  # a database takes seconds to make: one test has one
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_every_line_of_python_on_the_page_runs(folder: Path, page: str, monkeypatch) -> None:
    if page == "README.md":
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    assert (folder / "runs" / "studies" / "demo" / "report" / "report.html").is_file()
    assert (folder / "runs" / "studies" / "demo" / "mlflow.db").is_file() is (page == "README.md")
    if page == "docs/python.md":
        assert len(names["z"]) == 144
        assert names["study"].rerun("no_contrast/eegmat-a-to-b/1").differences == ()


@pytest.mark.parametrize("name", ["Study", "Table", "Encoder"])
def test_the_example_of_a_docstring_gives_what_it_says(folder: Path, name: str) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(scmmlab, name), name, globs={"scmmlab": scmmlab})
    failed, tried = doctest.DocTestRunner().run(example)
    assert (failed, tried > 1) == (0, True)
