"""What of the perceptron's settings does not matter: those that came later, where they mean what was always done."""

from __future__ import annotations

from scmmlab.methods.contract import KeyRules, Rule

_AS_EVER = (
    Rule("widths", lambda e: e.widths == "equal" or e.layers == 1, "absent as equal; one layer has one width"),
    Rule("norm", lambda e: e.norm == "none", "absent as none"),
)

RULES = KeyRules(finetune=_AS_EVER, probe=_AS_EVER)
"""The rules of each stage."""
