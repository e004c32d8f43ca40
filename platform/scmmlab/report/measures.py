"""How figures are named, written and what chance gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MINUS = "−"
NOTHING = "–"


@dataclass(frozen=True)
class Measure:
    """A figure of `scmmlab.evaluation.METRICS` as the report writes it.

    Parameters
    ----------
    name, label : str
        As in records, and in words.
    percent : bool
        Whether it is written in %, and differences in percentage points (pp); else as a plain number.
    """

    name: str
    label: str
    percent: bool

    @property
    def unit(self) -> str:
        """Unit of a value, for headings."""
        return "%" if self.percent else "−1 to 1"

    @property
    def difference_unit(self) -> str:
        """Unit of a difference, for headings."""
        return "pp" if self.percent else "on −1 to 1"

    @property
    def suffix(self) -> str:
        """What follows a value in a sentence."""
        return " %" if self.percent else ""

    @property
    def difference_suffix(self) -> str:
        """What follows a difference in a sentence."""
        return " pp" if self.percent else ""

    @property
    def scale(self) -> float:
        """What values are multiplied by before they are shown."""
        return 100.0 if self.percent else 1.0

    def value(self, value: float) -> str:
        """`62.3`."""
        return number(value * self.scale, 1 if self.percent else 3)

    def mean_sd(self, mean: float, sd: float) -> str:
        """`62.3 ± 8.1`, without the spread where there is none."""
        return self.value(mean) if math.isnan(sd) else f"{self.value(mean)} ± {self.value(sd)}"

    def difference(self, value: float) -> str:
        """`+1.2` or `−1.2`."""
        return number(value * self.scale, 1 if self.percent else 3, sign=True)

    def interval(self, low: float, high: float) -> str:
        """`[−3.9, −0.4]`."""
        if math.isnan(low) or math.isnan(high):
            return NOTHING
        return f"[{self.difference(low)}, {self.difference(high)}]"


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("accuracy", "accuracy", True),
        Measure("balanced_accuracy", "balanced accuracy", True),
        Measure("macro_f1", "macro F1", True),
        Measure("macro_auroc", "macro AUROC", True),
        Measure("cohen_kappa", "Cohen's kappa", False),
    )
}

CHANCE_IN_WORDS = {
    "accuracy": "Chance is the largest class's share of the test windows.",
    "balanced_accuracy": "Chance is 1 / classes, which any answer that ignores the input gets.",
    "macro_f1": "Chance is what uniform guessing gets.",
    "macro_auroc": "Chance is 50 %.",
    "cohen_kappa": "Chance is 0.",
}
"""What stands for chance, as a sentence for captions."""


def chance_level(metric: str, windows: NDArray[np.int64]) -> float:
    """What an answer without knowledge gets.

    Parameters
    ----------
    metric : str
        Name of the figure.
    windows : array of int, shape=(classes,)
        Test windows of each class.
    """
    share = windows / windows.sum()
    guess = 1 / windows.size
    match metric:
        case "accuracy":
            return float(share.max())
        case "balanced_accuracy":
            return guess
        case "macro_f1":
            # precision is the class's share, recall is 1 / classes
            return float(np.mean(2 * share * guess / (share + guess)))
        case "macro_auroc":
            return 0.5
        case "cohen_kappa":
            return 0.0
        case _:
            raise AssertionError(metric)


def number(value: float, digits: int, sign: bool = False) -> str:
    """`value` with a true minus sign, and a dash where there is none."""
    if math.isnan(value):
        return NOTHING
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        # no sign on what rounds to nothing
        return text.lstrip("+-")
    return text.replace("-", MINUS)


def p_value(p: float) -> str:
    """`0.031`, `< 0.001`."""
    if math.isnan(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_equals(p: float) -> str:
    """`p = 0.031`, `p < 0.001`."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def setting(value: object) -> str:
    """A value of a spec, short: `0.5`, `true`, `none`, `hybrid`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {setting(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(setting(inner) for inner in value)
    return str(value)


def plural(count: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
