"""Settings of the classical methods: each is fitted at once to scaled features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scmmlab.config.experiment import ExperimentSpec, ScalingKind
from scmmlab.methods.alignment.spec import AlignedSpec
from scmmlab.methods.trial_context import Context

ClassWeight = Literal["none", "balanced"]


class ClassicalSpec(AlignedSpec):
    """What an experiment with a classical method has, whichever it is."""

    context: Context = "window"
    """What is classified. `window`: each window by itself. `trial_mean`: the mean over a trial's windows, in fitting
    too, and each window gets its trial's prediction. `vote`: each window, and then the mean log-probability over its
    trial."""
    scaling: ScalingKind = "standard"
    """How each feature is scaled, by numbers fitted only on what the protocol lets be seen."""


class RidgeSpec(ClassicalSpec):
    """An experiment with ridge regression of the classes."""

    method: Literal["ridge"] = "ridge"
    """What is trained."""
    alpha: float = Field(1.0, gt=0, le=1e9)
    """Penalty α of the squared coefficients, beside the sum of all windows' squared errors."""
    class_weight: ClassWeight = "none"
    """`balanced`: each class weighs the same, however many windows it has; `none`: each window does."""


class LdaSpec(ClassicalSpec):
    """An experiment with linear discriminant analysis."""

    method: Literal["lda"] = "lda"
    """What is trained."""
    shrinkage: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = "auto"
    """How far each class's covariance moves towards equal and uncorrelated features: `auto` (Ledoit and Wolf, of
    features standardised within the class), or a share of the way (of the features as they are)."""
    class_weight: ClassWeight = "none"
    """`balanced`: all classes are equally probable beforehand; `none`: as probable as they are frequent."""


class SvmSpec(ClassicalSpec):
    """An experiment with a support vector machine."""

    method: Literal["svm"] = "svm"
    """What is trained."""
    kernel: Literal["rbf", "linear"] = "rbf"
    """`rbf`: exp(−γ‖x − x'‖²), classes against each other in pairs; `linear`: squared hinge, each class against the
    rest."""
    c: float = Field(1.0, gt=0, le=1e6)
    """Inverse strength of the L2 penalty: scikit-learn's `C`, which multiplies the sum of all windows' losses."""
    gamma: float = Field(1.0, gt=0, le=1e6)
    """γ of `rbf`, in units of 1 / (number of features × variance of all their values): 1 is scikit-learn's `scale`."""
    class_weight: ClassWeight = "none"
    """`balanced`: each class weighs the same, however many windows it has; `none`: each window does."""
    tolerance: float = Field(1e-6, gt=0, le=0.1)
    """Where the optimiser stops: scikit-learn's `tol`, whose own 1e-3 (rbf) and 1e-4 (linear) move predictions."""
    max_iterations: int = Field(10_000_000, ge=1)
    """Steps of the optimiser. A fit that has not converged by then fails, and says so."""


class KnnSpec(ClassicalSpec):
    """An experiment with the nearest neighbours."""

    method: Literal["knn"] = "knn"
    """What is trained."""
    neighbors: int = Field(5, ge=1)
    """Windows of the fine-tune part (with `trial_mean`: trials) that are asked."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """By which they are near."""


class MajoritySpec(ExperimentSpec):
    """An experiment that predicts the most frequent class of the fine-tune part, whatever it is shown."""

    method: Literal["majority"] = "majority"
    """What is trained."""
