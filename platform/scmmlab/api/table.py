"""A feature table as one looks at it: what it holds, and its windows as a pandas frame."""

from __future__ import annotations

import html
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scmmlab.config import CorpusSelection
from scmmlab.config.plain_values import plain
from scmmlab.config.problems import raise_problems, validate
from scmmlab.tables import FeatureTable, Manifest
from scmmlab.tables import read_table as read_stored
from scmmlab.tables.checks import number_ranges

if TYPE_CHECKING:
    import pandas as pd


class Table:
    """The windows of a corpus, or of a part of one; made by `Table.open`.

    Parameters
    ----------
    features : FeatureTable
        The table itself.
    """

    def __init__(self, features: FeatureTable):
        self.windows = features
        """The table as arrays, one row a window."""

    @classmethod
    def open(cls, where: str | os.PathLike[str]) -> Table:
        """Read a table, and check that it is what was written.

        Parameters
        ----------
        where : str or path
            A folder, a URI, or ``shipped:eegmat``.

        Raises
        ------
        CorpusError
            If there is no feature table, or it was altered or damaged since it was written.
        """
        return cls(read_stored(where))

    @property
    def manifest(self) -> Manifest:
        """What the table says about itself."""
        return self.windows.manifest

    @property
    def corpus(self) -> str:
        """Name of the corpus."""
        return self.manifest.corpus

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names, in the order of the features."""
        return self.manifest.channels

    @property
    def bands(self) -> dict[str, tuple[float, float]]:
        """Band names and edges in Hz, [low, high), in the order of the features."""
        return dict(self.manifest.bands)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return self.manifest.classes

    @property
    def subjects(self) -> tuple[int, ...]:
        """Numbers of the subjects."""
        return tuple(np.unique(self.windows.subject).tolist())

    @property
    def features(self) -> NDArray[np.float32]:
        """shape=(n_windows, n_channels, n_bands), in `manifest.unit`, not scaled."""
        return self.windows.features

    @property
    def fingerprint(self) -> str:
        """Identity of the content; of a selection, that of the table it was selected from."""
        return self.manifest.fingerprint

    def __len__(self) -> int:
        return len(self.windows)

    def __repr__(self) -> str:
        return (
            f"<Table '{self.corpus}': {len(self)} windows of {len(self.subjects)} subjects, {len(self.channels)} "
            f"channels × {len(self.bands)} bands>"
        )

    def select(self, **selection: Any) -> Table:
        """A part of it, by the words of a study: ``subjects="0-17"``, ``sessions=[1]``, ``classes=["calm"]``.

        Raises
        ------
        SpecError, CorpusError
            If the selection cannot be read, or names what the table lacks.
        """
        chosen, problems = validate(CorpusSelection, {"table": self.corpus, **plain(selection)})
        raise_problems(((problem, "the values given") for problem in problems), "selection")
        assert chosen is not None
        return Table(self.windows.select(chosen))

    def index(self) -> pd.MultiIndex:
        """`subject`, `session`, `trial`, `window` and `label` (the name of the class) of each window."""
        import pandas as pd

        rows = self.windows
        label = np.array(self.classes, dtype=object)[rows.label]
        return pd.MultiIndex.from_arrays(
            [rows.subject, rows.session, rows.trial, rows.window, label],
            names=["subject", "session", "trial", "window", "label"],
        )

    def to_frame(self) -> pd.DataFrame:
        """The features, one row a window, one column for each `channel` and `band`."""
        import pandas as pd

        columns = pd.MultiIndex.from_product([self.channels, list(self.bands)], names=["channel", "band"])
        return pd.DataFrame(self.features.reshape(len(self), -1), index=self.index(), columns=columns)

    def _repr_html_(self) -> str:
        bands = ", ".join(f"{name} {low:g}-{high:g} Hz" for name, (low, high) in self.bands.items())
        counts = np.bincount(self.windows.label, minlength=len(self.classes)).tolist()
        facts = {
            "corpus": self.corpus,
            "windows": f"{len(self):,} of {self.manifest.window_s:g} s",
            "subjects": f"{len(self.subjects)}: {number_ranges(self.subjects)}",
            "classes": ", ".join(f"{name} ({count:,})" for name, count in zip(self.classes, counts, strict=True)),
            "channels": ", ".join(self.channels),
            "bands": bands,
            "feature": f"{self.manifest.feature} in {self.manifest.unit}",
            "fingerprint": self.fingerprint[:16],
        }
        rows = (f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in facts.items())
        return f"<table>{''.join(rows)}</table>"


read_table = Table.open
