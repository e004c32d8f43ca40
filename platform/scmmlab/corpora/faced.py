"""FACED: film clips of nine emotions, 123 subjects, 30 EEG channels, 250 Hz, as preprocessed by its authors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora.finding import Finding, subjects_finding
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import Reader, corpus_folder
from scmmlab.corpora.recording import Recording, TrialSpan
from scmmlab.corpora.unpickling import load_pickle_safely
from scmmlab.errors import CorpusError

# fmt: off
CHANNELS = (
    "FP1", "FP2", "FZ", "F3", "F4", "F7", "F8", "FC1", "FC2", "FC5", "FC6", "CZ", "C3", "C4", "T7", "T8",
    "CP1", "CP2", "CP5", "CP6", "PZ", "P3", "P4", "P7", "P8", "PO3", "PO4", "OZ", "O1", "O2",
)
# fmt: on
"""The last two rows of the file, A2 and A1 (the ears), are left out."""
CLASSES = ("anger", "disgust", "fear", "sadness", "neutral", "amusement", "inspiration", "joy", "tenderness")
CLIPS = (3, 3, 3, 3, 4, 3, 3, 3, 3)
"""How many clips each class has; the clips lie in the file class by class."""
LABELS = tuple(label for label, count in enumerate(CLIPS) for _ in range(count))
SUBJECTS = 123
SAMPLING_RATE = 250.0
SHAPE = (28, 32, 7500)
"""Clips, channels, samples (30 s)."""
FOLDER = "Processed_data"

_FILE = re.compile(r"sub(\d\d\d)\.pkl")
_MICROVOLTS = (0.1, 1000.0)
"""Between these the mean size of EEG in µV lies; in V it is a millionth."""


class FacedReader(Reader):
    """Reads `sub000.pkl` to `sub122.pkl`. A trial's number is that of its clip, since the files tell no order in time.

    Each clip is a recording of its own, so that no filter runs across the border of two.
    """

    name: ClassVar[str] = "faced"
    corpus: ClassVar[str] = "faced"
    summary: ClassVar[str] = "28 film clips of nine emotions, 123 subjects, 30 channels, 250 Hz"
    needs: ClassVar[str] = f"sub000.pkl to sub122.pkl, side by side or in {FOLDER}"
    attribution: ClassVar[str | None] = (
        "Chen J, Wang X, Huang C, et al. A Large Finer-grained Affective Computing EEG Dataset. Scientific Data 2023, "
        "10, 740."
    )

    @property
    def classes(self) -> tuple[str, ...]:
        """Nine emotions."""
        return CLASSES

    def subject_name(self, subject: int) -> str:
        """`sub007`, as in the file names, which count from 0."""
        return f"sub{subject:03d}"

    def files(self, root: Path) -> tuple[str, ...]:
        """The file of each subject that is there."""
        corpus_folder(root)
        inside = FOLDER if (root / FOLDER).is_dir() else ""
        folder = open_below(root, inside)
        names = sorted(
            path.name for path in folder.iterdir() if path.suffix.lower() == ".pkl" and not path.name.startswith(".")
        )
        if not names:
            raise CorpusError(f"There are no recordings in '{root}': expected {self.needs}, found no .pkl file.")
        for name in names:
            match = _FILE.fullmatch(name)
            if match is None or int(match[1]) >= SUBJECTS:
                raise CorpusError(
                    f"'{folder / name}' is not a file of FACED: expected sub000.pkl to sub{SUBJECTS - 1}.pkl, found "
                    f"{name}."
                )
            open_below(root, inside, name)
        return tuple(f"{inside}/{name}" if inside else name for name in names)

    def check(self, root: Path) -> Iterator[Finding]:
        """As of every reader, and which of the 123 subjects are there."""
        try:
            found = [_subject(file) for file in self.files(root)]
        except CorpusError:
            found = []
        if found:
            yield subjects_finding(found, 0, SUBJECTS - 1, self.subject_name)
        yield from super().check(root)

    def read(self, root: Path, file: str) -> Iterator[Recording]:
        """One recording a clip."""
        path = open_below(root, file)
        subject = _subject(file)
        data = _array(path)
        notes: tuple[str, ...] = ("trials in the order of the clips, which is not that of time",)
        for clip, label in enumerate(LABELS):
            yield Recording(
                source=f"{path} (clip {clip + 1})",
                subject=subject,
                session=1,
                channels=CHANNELS,
                sampling_rate=SAMPLING_RATE,
                signal=np.array(data[clip, : len(CHANNELS)], np.float64),
                trials=(TrialSpan(clip + 1, label, 0, SHAPE[2]),),
                notes=notes,
            )
            notes = ()


def _subject(file: str) -> int:
    match = _FILE.fullmatch(file.rsplit("/", 1)[-1])
    assert match is not None, file
    return int(match[1])


def _array(path: Path) -> NDArray[np.float64]:
    """The signals of a file, once they are what they should be."""
    data = load_pickle_safely(path)
    is_array = isinstance(data, np.ndarray)
    if not is_array or data.shape != SHAPE or data.dtype.kind != "f":
        found = f"{data.dtype} of {data.shape}" if is_array else type(data).__name__
        raise CorpusError(f"{path} is not a file of FACED: expected floats of {SHAPE}, found {found}.")
    size = float(np.abs(data[0, : len(CHANNELS)]).mean())
    # NaN passes here and is named with its channel and time by `Recording`
    if size < _MICROVOLTS[0] or size > _MICROVOLTS[1]:
        raise CorpusError(
            f"The signal in {path} is not in µV: expected a mean size of {_MICROVOLTS[0]:g} to {_MICROVOLTS[1]:g} µV, "
            f"found {size:.3g}."
        )
    return data
