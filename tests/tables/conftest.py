from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A corpus of three text files, as the `TextReader` of `test_tables_build` reads them."""
    root = tmp_path / "raw"
    root.mkdir()
    for subject in (1, 2, 3):
        (root / f"s{subject}.txt").write_text(f"{subject} {subject % 2} {subject} A")
    return root
