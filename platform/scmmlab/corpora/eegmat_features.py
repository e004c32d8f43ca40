"""The features of all 36 eegmat subjects in one .npz file, from which the table that comes with scmmlab was made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from scmmlab.corpora.eegmat import ATTRIBUTION, CHANNELS, CLASSES, LICENCE, EegmatReader
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import FeatureOrigin, Reader, corpus_folder
from scmmlab.corpora.recording import FeatureRecording, TrialFeatures
from scmmlab.corpora.unpickling import load_npz_safely
from scmmlab.errors import CorpusError

FILE = "eegmat_de_1s_36subj.npz"
SUBJECTS = 36
BANDS = {"delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 14.0), "beta": (14.0, 31.0), "gamma": (31.0, 50.0)}
SECONDS = (60, 62)
"""Windows of 1 s, at rest and at arithmetic."""

_ORIGIN = FeatureOrigin(
    origin="computed",
    feature="differential_entropy",
    unit="nat, of a signal in µV",
    log_base="e",
    form="0.5*ln(2*pi*e*variance)",
    facts={
        "stated": "half the logarithm of 2 pi e times the variance, in windows of 1 s; the last 60 s of rest and "
        "62 s of arithmetic",
        "not_stated": "the filter, and whether it ran before or after the 60 s were cut out",
        "found": "the reader 'eegmat' with its defaults (Butterworth of order 4 forwards and backwards, run over "
        "the part that is kept; variance divided by n) gives the same float32 numbers, all of them, for the seven "
        "subjects whose recordings were at hand (Subject00 to Subject06)",
    },
)


class EegmatFeaturesReader(Reader):
    """Reads `X`, `y`, `subject`, `ch_names` and `bands`, and numbers the trials as `EegmatReader` does."""

    name: ClassVar[str] = "eegmat_features"
    corpus: ClassVar[str] = "eegmat"
    summary: ClassVar[str] = "differential entropy of eegmat's 36 subjects, which 'shipped:eegmat' was made from"
    needs: ClassVar[str] = FILE
    attribution: ClassVar[str | None] = ATTRIBUTION
    licence: ClassVar[str | None] = LICENCE
    block_seconds: int = Field(10, ge=1)
    """Length of the blocks that stand as trials, in s; the last one takes the remainder."""

    @property
    def feature_origin(self) -> FeatureOrigin | None:
        """Computed by the corpus's users, as scmmlab does."""
        return _ORIGIN

    @property
    def classes(self) -> tuple[str, ...]:
        """At rest, or subtracting numbers in the head."""
        return CLASSES

    def subject_name(self, subject: int) -> str:
        """`Subject07`, as in the file names of the corpus."""
        return EegmatReader().subject_name(subject)

    def files(self, root: Path) -> tuple[str, ...]:
        """The one file."""
        if not (corpus_folder(root) / FILE).is_file():
            raise CorpusError(f"'{root / FILE}' is missing: expected it in '{root}', found no such file.")
        return (FILE,)

    def read(self, root: Path, file: str) -> Iterator[FeatureRecording]:
        """One recording a subject."""
        path = open_below(root, file)
        arrays = load_npz_safely(path)
        _expect(path, "missing arrays", set(), {"X", "y", "subject", "ch_names", "bands"} - set(arrays))
        windows = SUBJECTS * sum(SECONDS)
        _expect(path, "shape of X", (windows, len(CHANNELS), len(BANDS)), arrays["X"].shape)
        _expect(path, "channels", list(CHANNELS), arrays["ch_names"].tolist())
        _expect(path, "bands", [list(edges) for edges in BANDS.values()], arrays["bands"].tolist())
        _expect(path, "subjects", list(range(SUBJECTS)), np.unique(arrays["subject"]).tolist())
        for subject in range(SUBJECTS):
            rows = arrays["subject"] == subject
            _expect(path, f"labels of subject {subject}", [0] * 60 + [1] * 62, arrays["y"][rows].tolist())
            yield FeatureRecording(
                source=str(path),
                subject=subject,
                session=1,
                channels=CHANNELS,
                bands=BANDS,
                window_s=1.0,
                trials=self._blocks(arrays["X"][rows].astype(np.float32)),
            )

    def _blocks(self, features: np.ndarray) -> list[TrialFeatures]:
        trials: list[TrialFeatures] = []
        for label, part in enumerate(np.split(features, [SECONDS[0]])):
            cuts = [self.block_seconds * index for index in range(1, len(part) // self.block_seconds)]
            trials += [TrialFeatures(0, label, block) for block in np.split(part, cuts)]
        return [TrialFeatures(number, trial.label, trial.features) for number, trial in enumerate(trials, start=1)]


def _expect(path: Path, what: str, expected: object, found: object) -> None:
    if expected != found:
        raise CorpusError(f"The {what} in {path} must be {expected}, found {found}.")
