"""What of the perceptron's settings does not matter: those that came later, where they mean what was always done."""

from __future__ import annotations

from scmmlab.methods.alignment.key_rules import with_alignment
from scmmlab.methods.contract import Rule

RULES = with_alignment(
    Rule("widths", lambda e: e.widths == "equal" or e.layers == 1, "absent as equal; one layer has one width"),
    Rule("norm", lambda e: e.norm == "none", "absent as none"),
)
"""The rules of each stage."""
