"""Settings of logistic regression."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scmmlab.methods.classical.spec import ClassicalSpec, ClassWeight


class LinearSpec(ClassicalSpec):
    """An experiment with logistic regression."""

    method: Literal["linear"] = "linear"
    """What is trained."""
    c: float = Field(1.0, gt=0, le=1e6)
    """Inverse strength of the L2 penalty: scikit-learn's `C`, which multiplies the sum of all windows' losses."""
    class_weight: ClassWeight = "none"
    """`balanced`: each class weighs the same, however many windows it has; `none`: each window does."""
    solver: Literal["lbfgs", "newton"] = "lbfgs"
    """`lbfgs`: gradients alone; `newton`: the Hessian too, which reaches tolerances that L-BFGS does not."""
    tolerance: float = Field(1e-4, gt=0, le=0.1)
    """Largest gradient at which the solver stops: scikit-learn's `tol`, whose default this is. It moves predictions;
    `{solver: newton, tolerance: 1.0e-12}` is the minimum itself."""
    max_iterations: int = Field(1000, ge=1)
    """Steps of the solver. A fit that has not converged by then fails, and says so."""
