"""What of the settings of logistic regression does not matter: those that came later, where they mean what was always
done.
"""

from __future__ import annotations

from scmmlab.methods.alignment.key_rules import with_alignment
from scmmlab.methods.contract import Rule

RULES = with_alignment(
    Rule("context", lambda e: e.context == "window", "absent as each window by itself"),
    Rule("solver", lambda e: e.solver == "lbfgs", "absent as L-BFGS"),
    Rule("tolerance", lambda e: e.tolerance == 1e-4, "absent as scikit-learn's default"),
)
"""The rules of each stage."""
