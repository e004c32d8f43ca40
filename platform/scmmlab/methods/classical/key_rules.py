"""What of the classical methods' settings does not matter."""

from __future__ import annotations

from scmmlab.methods.alignment.key_rules import with_alignment
from scmmlab.methods.contract import Rule

RULES = with_alignment()
"""Those of all classical methods."""
SVM_RULES = with_alignment(Rule("gamma", lambda e: e.kernel != "rbf", "only the kernel rbf has it"))
"""Those of support vector machines."""
