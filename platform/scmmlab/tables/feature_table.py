"""The feature table in memory: one row a window, sorted by subject, session, trial and window."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scmmlab.config import CorpusSelection, canonical_json
from scmmlab.errors import CorpusError, nearest
from scmmlab.tables.checks import KEY_COLUMNS, check_rows, number_ranges
from scmmlab.tables.manifest import Manifest


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """The windows of a corpus, or of a part of one.

    Parameters
    ----------
    manifest : Manifest
        What the table says about itself.
    subject, session, trial, window : array of int32, shape=(n_windows,)
        Which window a row is; a trial's windows count from 0 in time.
    label : array of int64, shape=(n_windows,)
        Index into `manifest.classes`.
    features : array of float32, shape=(n_windows, n_channels, n_bands)
        In `manifest.unit`.
    """

    manifest: Manifest
    subject: NDArray[np.int32]
    session: NDArray[np.int32]
    trial: NDArray[np.int32]
    window: NDArray[np.int32]
    label: NDArray[np.int64]
    features: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def assemble(
        cls,
        manifest: Manifest,
        *,
        subject: ArrayLike,
        session: ArrayLike,
        trial: ArrayLike,
        window: ArrayLike,
        label: ArrayLike,
        features: ArrayLike,
        where: str = "the table",
    ) -> FeatureTable:
        """A table from rows in any order, checked, sorted, and with its number of windows and fingerprint.

        Parameters
        ----------
        manifest : Manifest
            Its `windows` and `fingerprint` are replaced.
        subject, session, trial, window, label, features : array_like
            One row a window, as in the class.
        where : str
            What an error names.

        Raises
        ------
        CorpusError
            If a window stands twice, a label is outside the classes, a feature is not finite, a subject is not in the
            manifest, a trial has two labels, or there is no window at all.
        """
        keys = [np.asarray(column, dtype=np.int32) for column in (subject, session, trial, window)]
        order = np.lexsort(keys[::-1])
        subject, session, trial, window = (key[order] for key in keys)
        table = cls(
            manifest,
            subject=subject,
            session=session,
            trial=trial,
            window=window,
            label=np.asarray(label, dtype=np.int64)[order],
            features=np.asarray(features, dtype=np.float32)[order],
        )
        shape = (len(order), len(manifest.channels), len(manifest.bands))
        assert table.features.shape == shape, f"features have shape {table.features.shape}, the manifest says {shape}"
        check_rows(table, where)
        return table._sealed()

    def select(self, selection: CorpusSelection) -> FeatureTable:
        """The part of the table that a study names; `selection.table` is not looked at.

        Labels are numbered anew in the order of `selection.classes`, each of which may be made of several. The
        manifest keeps the table's fingerprint.

        Raises
        ------
        CorpusError
            If a subject, session or class is not in the table, or nothing is left.
        """
        manifest = self.manifest
        corpus = manifest.corpus
        keep = np.ones(len(self), dtype=bool)
        if selection.subjects is not None:
            _check_numbers(f"Subjects of '{corpus}'", selection.subjects, self.subject)
            keep &= np.isin(self.subject, selection.subjects)
        if selection.sessions is not None:
            _check_numbers(f"Sessions of '{corpus}'", selection.sessions, self.session)
            keep &= np.isin(self.session, selection.sessions)
        new_label = np.arange(len(manifest.classes))
        if selection.classes is not None:
            new_label = np.full(len(manifest.classes), -1)
            for label, name in enumerate(selection.classes):
                members = selection.members(name)
                _check_classes(corpus, members, manifest.classes)
                new_label[[manifest.classes.index(member) for member in members]] = label
            keep &= new_label[self.label] >= 0
        rows = np.flatnonzero(keep)
        if not len(rows):
            raise CorpusError(f"Nothing of '{corpus}' is left by the selection {selection.model_dump(mode='json')}.")
        part = replace(
            self,
            **{name: getattr(self, name)[rows] for name in (*KEY_COLUMNS, "features")},
            label=new_label[self.label[rows]],
        )
        present = set(part.subject.tolist())
        return replace(
            part,
            manifest=manifest.model_copy(
                update={
                    "classes": selection.classes or manifest.classes,
                    "subjects": {number: name for number, name in manifest.subjects.items() if number in present},
                    "windows": len(part),
                }
            ),
        )

    def with_channels(self, names: Sequence[str]) -> FeatureTable:
        """The table with these channels alone, in this order and spelling, found without regard to case.

        Raises
        ------
        CorpusError
            If the table lacks one of them.
        """
        place = {name.lower(): index for index, name in enumerate(self.manifest.channels)}
        missing = [name for name in names if name.lower() not in place]
        if missing:
            raise CorpusError(
                f"'{self.manifest.corpus}' has no channel {', '.join(missing)}: expected some of "
                f"{', '.join(self.manifest.channels)}."
            )
        if tuple(names) == self.manifest.channels:
            return self
        indices = [place[name.lower()] for name in names]
        return replace(
            self,
            manifest=self.manifest.model_copy(update={"channels": tuple(names)}),
            features=np.ascontiguousarray(self.features[:, indices]),
        )

    def content_fingerprint(self) -> str:
        """A hexadecimal SHA-256 of every column and of what the manifest says about them."""
        digest = hashlib.sha256()
        # what is left out is no part of it: a file that somebody puts beside the recordings makes no other table
        unsaid = {"fingerprint", "attribution", "licence", "left_out", "signals"}
        facts = self.manifest.model_dump(mode="json", exclude=unsaid)
        # the order of the bands is that of the features, and canonical JSON would sort it away
        facts["bands"] = list(facts["bands"].items())
        facts["windows"] = len(self)
        if not facts["companions"]:
            # so that tables from before there were any keep theirs
            del facts["companions"]
        digest.update(canonical_json(facts).encode())
        for column in (*(getattr(self, name) for name in KEY_COLUMNS), self.label, self.features):
            digest.update(np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<")).data)
        return digest.hexdigest()

    def _sealed(self) -> FeatureTable:
        sealed = {"windows": len(self), "fingerprint": self.content_fingerprint()}
        return replace(self, manifest=self.manifest.model_copy(update=sealed))


def _check_numbers(what: str, wanted: Iterable[int], present: NDArray[np.int32]) -> None:
    there = np.unique(present).tolist()
    missing = sorted(set(wanted) - set(there))
    if missing:
        raise CorpusError(f"{what} must be among {number_ranges(there)}, got {number_ranges(missing)}, which it lacks.")


def _check_classes(corpus: str, wanted: Sequence[str], present: Sequence[str]) -> None:
    for name in wanted:
        if name not in present:
            guess = nearest(name, present)
            raise CorpusError(
                f"Classes of '{corpus}' must be among {list(present)}, got {name!r}.",
                f"did you mean {guess!r}?" if guess else None,
            )
