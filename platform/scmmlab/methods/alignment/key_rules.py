"""What of the settings of alignment does not matter: all of them where there is none, and those of other kinds."""

from __future__ import annotations

from scmmlab.methods.contract import KeyRules, Rule

ALIGNMENT_RULES = (
    Rule("alignment", lambda e: e.alignment.kind == "none", "absent as none"),
    Rule("alignment.scale", lambda e: e.alignment.kind != "recentre", "only re-centring has it"),
    Rule("alignment.rho", lambda e: e.alignment.kind != "coral", "only CORAL has it"),
    Rule("alignment.mean", lambda e: e.alignment.kind != "coral", "only CORAL has it"),
    Rule(
        "alignment.components",
        lambda e: e.alignment.kind not in ("subspace", "tca"),
        "only they have a space of fewer dimensions",
    ),
    Rule("alignment.mu", lambda e: e.alignment.kind != "tca", "only TCA has it"),
    Rule("alignment.epsilon", lambda e: e.alignment.kind != "ot", "only optimal transport has it"),
    Rule("alignment.class_penalty", lambda e: e.alignment.kind != "ot", "only optimal transport has it"),
    Rule("alignment.windows", lambda e: e.alignment.kind not in ("tca", "ot"), "the others are computed from all"),
)
"""Rules of every method that has these settings."""


def with_alignment(*rules: Rule) -> KeyRules:
    """Rules of a method without pre-training, its own and those of alignment."""
    every = (*rules, *ALIGNMENT_RULES)
    return KeyRules(finetune=every, probe=every)
