"""Small tables and reporters are those of the tests of training."""

from __future__ import annotations

import sys
from pathlib import Path

from command_line import scmmlab  # noqa: F401 - a fixture

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

collect_ignore = ["third_party"]
