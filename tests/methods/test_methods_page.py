"""docs/extending.md prints the code that is installed and run by the tests."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).with_name("third_party")
PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["pyproject.toml", "nearest_mean.py", "test_nearest_mean.py"])
def test_code_that_the_page_prints_is_what_is_installed_and_run(name):
    text = (PACKAGE / name).read_text(encoding="utf-8")
    assert text in re.findall(r"^```\w*\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert text.count("\n") <= 80


def test_names_that_the_page_speaks_of_are_there():
    spoken = set(re.findall(r"`methods\.(\w+)\.(\w+)`", PAGE))
    assert len(spoken) == 6
    for module, name in spoken:
        assert hasattr(import_module(f"scmmlab.methods.{module}"), name)
