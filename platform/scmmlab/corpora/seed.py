"""SEED: three emotions by film clips, 15 subjects in three sessions, 62 channels, 200 Hz (BCMI, on application)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from scmmlab.corpora.finding import Finding
from scmmlab.corpora.matlab import open_matlab
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.seed_facts import CLASSES, DATES, LABELS, PREFIXES, SAMPLING_RATE, SECONDS
from scmmlab.corpora.seed_folder import Dates, find_folder, folders_of_files, side_by_side
from scmmlab.corpora.seed_sessions import LICENCE, SessionsReader
from scmmlab.errors import CorpusError


class SeedReader(SessionsReader):
    """Both layouts: `ExtractedFeatures/` and `Preprocessed_EEG/`, and those below `SEED_EEG/`."""

    name: ClassVar[str] = "seed"
    corpus: ClassVar[str] = "seed"
    summary: ClassVar[str] = (
        "three emotions by film clips, 15 subjects x 3 sessions, 62 channels (BCMI, on application)"
    )
    needs: ClassVar[str] = (
        "ExtractedFeatures/ (or ExtractedFeatures_1s/) or Preprocessed_EEG/, below it or below its SEED_EEG/, with "
        "{subject}_{date}.mat"
    )
    attribution: ClassVar[str | None] = (
        "Zheng W-L, Lu B-L. Investigating Critical Frequency Bands and Channels for EEG-based Emotion Recognition with "
        "Deep Neural Networks. IEEE Transactions on Autonomous Mental Development 2015, 7(3), 162-175."
    )
    licence: ClassVar[str | None] = LICENCE
    dates: ClassVar[Dates] = DATES

    shipped_window_s: Literal[1, 4] = 1
    """Windows of the shipped features in s. In the 4-s folder their number is unconfirmed and may be off by one."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Label + 1 is the index."""
        return CLASSES

    def _folders(self, root: Path) -> Mapping[str, int | None]:
        if self.source == "raw":
            names = ["Preprocessed_EEG"]
        elif self.shipped_window_s == 1:
            names = ["ExtractedFeatures", "ExtractedFeatures_1s"]
        else:
            names = ["ExtractedFeatures_4s"]
        if root.is_dir() and root.resolve().name in names:
            return {".": None}
        hint = side_by_side(folders_of_files(root), names[0]) if root.is_dir() else None
        return {find_folder(root, [*names, *(f"SEED_EEG/{name}" for name in names)], self.needs, hint): None}

    def _windows(self, session: int) -> tuple[int | None, ...]:
        return SECONDS if self.shipped_window_s == 1 or self.source == "raw" else (None,) * len(SECONDS)

    def _near(self, session: int) -> tuple[float, ...]:
        return tuple(seconds / self.shipped_window_s for seconds in SECONDS)

    def _fits(self, session: int, trial: int, samples: int) -> bool:
        return samples == SECONDS[trial - 1] * int(SAMPLING_RATE) + 1

    def _shown_samples(self, session: int) -> tuple[str, ...]:
        return tuple(str(seconds * int(SAMPLING_RATE) + 1) for seconds in SECONDS)

    def _labels(self, session: int) -> tuple[int | None, ...]:
        return tuple(label + 1 for label in LABELS)

    def _seconds(self) -> float:
        return float(self.shipped_window_s)

    def _prefix(self, subject: int) -> str | None:
        return PREFIXES[subject]

    def _label_file(self, folder: str) -> str:
        return f"{folder}/label.mat" if folder != "." else "label.mat"

    def _label_findings(self, root: Path, folder: str) -> Iterator[Finding]:
        """Whether label.mat, where it is there, has the labels that are known."""
        where = self._label_file(folder)
        expected = f"(1, {len(LABELS)}): {', '.join(map(str, LABELS))}"
        path = open_below(root, where)
        if not path.is_file():
            yield Finding(True, where, "labels", expected, "no such file; the known labels are taken")
            return
        remedy = "this label.mat is of another corpus or damaged: copy it again"
        try:
            mat = open_matlab(path)
            variable = mat.variables.get("label")
            if variable is None or variable.shape != (1, len(LABELS)):
                there = ", ".join(f"{name} {found.shape}" for name, found in mat.variables.items()) or "no variable"
                yield Finding(False, where, "labels", f"label {expected}", there, remedy)
                return
            labels = mat.read("label")[0]
        except CorpusError as error:
            yield Finding(False, where, "labels", expected, f"that {error.message}".rstrip("."), remedy)
            return
        found = ", ".join(f"{label:g}" for label in labels)
        yield Finding(np.array_equal(labels, LABELS), where, "labels", expected, f"(1, {len(labels)}): {found}", remedy)
