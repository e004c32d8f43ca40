"""What of the classical methods' settings does not matter."""

from __future__ import annotations

from scmmlab.methods.contract import KeyRules, Rule

_OF_RBF_ALONE = (Rule("gamma", lambda e: e.kernel != "rbf", "only the kernel rbf has it"),)

SVM_RULES = KeyRules(finetune=_OF_RBF_ALONE, probe=_OF_RBF_ALONE)
"""Those of support vector machines."""
