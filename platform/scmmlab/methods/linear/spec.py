"""Settings of logistic regression."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scmmlab.config.experiment import ExperimentSpec, ScalingKind


class LinearSpec(ExperimentSpec):
    """An experiment with logistic regression."""

    method: Literal["linear"] = "linear"
    """What is trained."""
    c: float = Field(1.0, gt=0, le=1e6)
    """Inverse strength of the L2 penalty: scikit-learn's `C`, which multiplies the sum of all windows' losses."""
    class_weight: Literal["none", "balanced"] = "none"
    """`balanced`: each class weighs the same, however many windows it has; `none`: each window does."""
    max_iterations: int = Field(1000, ge=1)
    """Steps of L-BFGS. A fit that has not converged by then fails, and says so."""
    scaling: ScalingKind = "standard"
    """How each feature is scaled, by numbers fitted only on what the protocol lets be seen."""
