"""The trials of a feature table, one entry each: the unit that a split may not cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scmmlab.errors import SplitError
from scmmlab.tables import FeatureTable


@dataclass(frozen=True, eq=False)
class Trials:
    """The trials of a table, sorted by subject, session and trial number (the order of time within a session).

    Parameters
    ----------
    subject, session, trial : array of int, shape=(trials,)
        Which trial it is.
    label : array of int, shape=(trials,)
        Its class.
    of_row : array of int, shape=(rows,)
        Position in the arrays above of the trial that each row of the table belongs to.
    """

    subject: NDArray[np.int64]
    session: NDArray[np.int64]
    trial: NDArray[np.int64]
    label: NDArray[np.int64]
    of_row: NDArray[np.int64]

    @classmethod
    def of(cls, table: FeatureTable) -> Trials:
        """The trials of `table`.

        Raises
        ------
        SplitError
            If the windows of a trial do not all have one class.
        """
        columns = np.stack([table.subject, table.session, table.trial], axis=1).astype(np.int64)
        keys, first, of_row = np.unique(columns, axis=0, return_index=True, return_inverse=True)
        of_row = of_row.reshape(-1)
        label = np.asarray(table.label, dtype=np.int64)[first]
        odd = np.flatnonzero(table.label != label[of_row])
        if odd.size:
            subject, session, trial = keys[of_row[odd[0]]]
            raise SplitError(
                f"Trial {trial} of subject {subject}, session {session} in corpus '{table.manifest.corpus}' has "
                "windows of more than one class, where a split needs trials of one class each.",
                hint="give every stretch of one class a trial number of its own when the table is built.",
            )
        return cls(keys[:, 0], keys[:, 1], keys[:, 2], label, of_row)


def trial_numbers(table: FeatureTable) -> NDArray[np.int64]:
    """Which trial each row of `table` is of, counted from 0 in the table's order; no label is read."""
    # rows are sorted by subject, session and trial, so a trial begins where one of them changes
    begins = np.zeros(len(table), dtype=bool)
    for column in (table.subject, table.session, table.trial):
        begins[1:] |= column[1:] != column[:-1]
    return np.cumsum(begins)
