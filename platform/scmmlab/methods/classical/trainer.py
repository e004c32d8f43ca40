"""What the trainers of the classical methods have in common."""

from __future__ import annotations

from scmmlab.methods.classical.spec import ClassicalSpec
from scmmlab.methods.one_shot import OneShotTrainer
from scmmlab.methods.trial_context import Context


class ClassicalTrainer(OneShotTrainer):
    """A one-shot method whose settings say what is classified."""

    def context(self, spec: ClassicalSpec) -> Context:
        """As the settings say."""
        return spec.context
