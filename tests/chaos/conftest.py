"""What is used of other tests: studies of seconds, servers, a cluster's environment."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("execution", "integration", "tracking"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
