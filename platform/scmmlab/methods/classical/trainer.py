"""What the trainers of the classical methods have in common."""

from __future__ import annotations

from scmmlab.methods.alignment.aligned_fold import aligned
from scmmlab.methods.classical.spec import ClassicalSpec
from scmmlab.methods.contract import FoldData, FoldRun
from scmmlab.methods.one_shot import OneShotTrainer
from scmmlab.methods.trial_context import Context


class ClassicalTrainer(OneShotTrainer):
    """A one-shot method whose settings say what is classified."""

    def fold_data(self, run: FoldRun) -> FoldData:
        """Aligned as the settings say."""
        return aligned(run)

    def context(self, spec: ClassicalSpec) -> Context:
        """As the settings say."""
        return spec.context
