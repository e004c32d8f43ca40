"""Classifiers whose coefficients solve a linear system: a pack's systems are factored together.

Each fold's system is summed up from its own windows alone, so that it has the same bits in any pack; what is done along
the replica axis is the Cholesky factorisation and the substitutions.

| symbol | meaning |
|---|---|
| R | systems that are solved together |
| N, P, K | rows of the fine-tune part; features, channels × bands; classes |
| A | symmetric and positive definite |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from scmmlab.errors import TrainingError
from scmmlab.methods.classical.trainer import ClassicalTrainer
from scmmlab.methods.contract import FoldRun
from scmmlab.methods.one_shot import Estimator, Matrix, OneShotPack, finetune_part
from scmmlab.methods.trial_context import Part
from scmmlab.replica.shortage import out_of_memory
from scmmlab.replica.windows import WindowPool


@dataclass(frozen=True)
class LinearSystem:
    """A w = b, one column of b and w for each score."""

    a_PP: Tensor
    """Symmetric."""
    b_PK: Tensor
    """Right-hand sides."""


class ClosedForm(ABC):
    """An estimator whose scores are w·x + w₀.

    Attributes
    ----------
    classes_ : array of int64
        The classes that it was fitted to.
    device : device
        Where its system is made and solved.
    """

    def __init__(self, device: torch.device | str = "cpu"):
        self.device = torch.device(device)

    @abstractmethod
    def system(self, x_NP: Tensor, member_NK: Tensor) -> LinearSystem:
        """The system of these rows, float64; `member_NK` is 1 in the column of each row's class and 0 elsewhere."""

    @abstractmethod
    def intercept(self, w_PK: Tensor) -> Tensor:
        """The constants w₀ that go with a solution."""

    def prepare(self, X: Matrix, y: NDArray[np.int64]) -> LinearSystem:
        """The system of features [N, P] and labels [N]."""
        self.classes_ = np.unique(y)
        member_NK = torch.from_numpy(y[:, None] == self.classes_).to(self.device, torch.float64)
        return self.system(torch.from_numpy(X).to(self.device), member_NK)

    def finish(self, w_PK: Tensor) -> ClosedForm:
        """Take a solution over."""
        self._w0 = self.intercept(w_PK).cpu().numpy()
        self._w_PK = w_PK.cpu().numpy()
        return self

    def fit(self, X: Matrix, y: NDArray[np.int64]) -> ClosedForm:
        """Learn from features [N, P] and labels [N], alone.

        Raises
        ------
        TrainingError
            If the system has no solution.
        """
        (w_PK,) = solve_together([self.prepare(X, y)])
        if w_PK is None:
            raise _no_solution("The fit")
        return self.finish(w_PK)

    def decision_function(self, X: Matrix) -> Matrix:
        """Scores [N, K]; where there is one column, [N], which is the score of the second class over the first."""
        scores: Matrix = X @ self._w_PK + self._w0
        return scores[:, 0] if scores.shape[1] == 1 else scores


def solve_together(systems: Sequence[LinearSystem]) -> list[Tensor | None]:
    """Solutions [P, K] of systems, those of one shape at once; None where A is not positive definite."""
    solutions: list[Tensor | None] = [None] * len(systems)
    alike: dict[torch.Size, list[int]] = defaultdict(list)
    for r, system in enumerate(systems):
        alike[system.b_PK.shape].append(r)
    for rs in alike.values():
        a_RPP = torch.stack([systems[r].a_PP for r in rs])
        b_RPK = torch.stack([systems[r].b_PK for r in rs])
        factor_RPP, failed_R = torch.linalg.cholesky_ex(a_RPP)
        # where A is singular, a pivot may be some ulps of what it is left of, and pass for a number
        pivot_RP, size_RP = (each.diagonal(dim1=-2, dim2=-1) for each in (factor_RPP, a_RPP))
        noise_RP = torch.finfo(a_RPP.dtype).eps * a_RPP.shape[-1] * size_RP
        solvable_R = (failed_R == 0) & (pivot_RP.square() > noise_RP).all(-1)
        w_RPK = torch.cholesky_solve(b_RPK, factor_RPP)
        for r, w_PK, solvable in zip(rs, w_RPK, solvable_R.tolist(), strict=True):
            solutions[r] = w_PK if solvable else None
    return solutions


def _no_solution(what: str) -> TrainingError:
    return TrainingError(
        f"{what} has no solution: the matrix of its linear system must be positive definite, but it is singular, since "
        "there are fewer windows (or trials) than features, or some features follow from others.",
        hint="regularise more: alpha of ridge, shrinkage of lda.",
    )


class ClosedFormTrainer(ClassicalTrainer):
    """A one-shot method whose estimator is a `ClosedForm`; the folds of a pack are solved together."""

    def finetune_pack(self, runs: Sequence[FoldRun], pool: WindowPool) -> ClosedFormPack:
        """Folds that are solved together, on the pool's device."""
        return ClosedFormPack(runs, self, pool.windows.device)


class ClosedFormPack(OneShotPack):
    """Folds whose systems are solved together in their one epoch.

    Parameters
    ----------
    runs : sequence of FoldRun
        The folds.
    trainer : ClosedFormTrainer
        Makes their estimators.
    device : device
        Where they are solved.
    """

    def __init__(self, runs: Sequence[FoldRun], trainer: ClosedFormTrainer, device: torch.device):
        super().__init__(runs, trainer)
        self._device = device
        self._solved: list[ClosedForm | Exception] = []

    def train_epoch(self) -> list[Exception | None]:
        """Solve all folds, then predict the parts of each; the errors of those that fail."""
        with threadpool_limits(limits=1):
            self._solved = self._solve()
        return super().train_epoch()

    def _estimator(self, r: int, part: Part) -> Estimator:
        solved = self._solved[r]
        if isinstance(solved, Exception):
            raise solved
        return solved

    def _solve(self) -> list[ClosedForm | Exception]:
        """The estimator of each fold, or what it failed by."""
        estimators, systems, errors = {}, {}, {}
        for r, run in enumerate(self.runs):
            try:
                seen = replace(run, data=self._trainer.fold_data(run))
                part = finetune_part(seen, self._trainer.context(run.experiment))
                estimators[r] = estimator = self._closed_form(run)
                systems[r] = estimator.prepare(part.x, part.labels(run.data.finetune_label))
            except Exception as error:
                if out_of_memory(error):
                    raise
                errors[r] = error
        for r, w_PK in zip(systems, solve_together(list(systems.values())), strict=True):
            if w_PK is None:
                run = self.runs[r]
                errors[r] = _no_solution(f"The fit of {run.key} on '{run.data.fold.name}'")
            else:
                estimators[r].finish(w_PK)
        return [errors.get(r) or estimators[r] for r in range(len(self.runs))]

    def _closed_form(self, run: FoldRun) -> ClosedForm:
        # nothing is drawn, so any seed will do
        estimator = self._trainer.estimator(run.experiment, 0)
        assert isinstance(estimator, ClosedForm)
        estimator.device = self._device
        return estimator
