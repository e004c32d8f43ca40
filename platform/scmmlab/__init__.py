"""scmmlab: ablation studies and hyperparameter sweeps of SCMM, without leaks, on Ray.

The names that a notebook uses are imported when they are asked for, so that `import scmmlab` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scmmlab.api.encoder import Encoder
    from scmmlab.api.study import Study, open_study
    from scmmlab.api.table import Table, read_table

__version__ = "0.1.0"

__all__ = ["Encoder", "Study", "Table", "__version__", "open_study", "read_table"]

_MODULES = {"Encoder": "encoder", "Study": "study", "open_study": "study", "Table": "table", "read_table": "table"}
"""Name → module of `scmmlab.api` that it is of."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"scmmlab.api.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
