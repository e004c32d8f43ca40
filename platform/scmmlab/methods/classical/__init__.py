"""The classical methods: the floor that a comparison owes its reader, beside logistic regression (`linear`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scmmlab.methods.classical.key_rules import SVM_RULES
from scmmlab.methods.classical.spec import KnnSpec, LdaSpec, MajoritySpec, RidgeSpec, SvmSpec
from scmmlab.methods.contract import ACCURACIES, Method, Trainer

if TYPE_CHECKING:
    from scmmlab.methods.classical.golden import ClassicalGolden


def _load_ridge() -> Trainer:
    from scmmlab.methods.classical.ridge import RidgeTrainer

    return RidgeTrainer()


def _load_lda() -> Trainer:
    from scmmlab.methods.classical.lda import LdaTrainer

    return LdaTrainer()


def _load_svm() -> Trainer:
    from scmmlab.methods.classical.svm import SvmTrainer

    return SvmTrainer()


def _load_knn() -> Trainer:
    from scmmlab.methods.classical.knn import KnnTrainer

    return KnnTrainer()


def _load_majority() -> Trainer:
    from scmmlab.methods.classical.majority import MajorityTrainer

    return MajorityTrainer()


def _golden() -> ClassicalGolden:
    from scmmlab.methods.classical.golden import ClassicalGolden

    return ClassicalGolden()


RIDGE = Method(
    name="ridge",
    version="1",
    title="ridge regression of the classes on a window's features; scores, not calibrated",
    spec=RidgeSpec,
    load=_load_ridge,
    metrics={"finetune": ACCURACIES},
    golden=_golden,
)
LDA = Method(
    name="lda",
    version="1",
    title="linear discriminant analysis of a window's features, with a shrunken covariance",
    spec=LdaSpec,
    load=_load_lda,
    metrics={"finetune": ACCURACIES},
)
SVM = Method(
    name="svm",
    version="1",
    title="support vector machine (rbf or linear) of a window's features, by scikit-learn; scores, not calibrated",
    spec=SvmSpec,
    load=_load_svm,
    runs_on="cpu",
    metrics={"finetune": ACCURACIES},
    rules=SVM_RULES,
)
KNN = Method(
    name="knn",
    version="1",
    title="k nearest neighbours of a window's features, by scikit-learn",
    spec=KnnSpec,
    load=_load_knn,
    runs_on="cpu",
    metrics={"finetune": ACCURACIES},
)
MAJORITY = Method(
    name="majority",
    version="1",
    title="the most frequent class of the fine-tune part, whatever the features",
    spec=MajoritySpec,
    load=_load_majority,
    runs_on="cpu",
    metrics={"finetune": ACCURACIES},
)
