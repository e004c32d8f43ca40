"""eegmat: rest and mental arithmetic, 36 subjects, 19 channels, 500 Hz, EDF (PhysioNet, open)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from scmmlab.corpora.edf import read_edf
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import Reader, corpus_folder
from scmmlab.corpora.recording import Recording, TrialSpan
from scmmlab.errors import CorpusError

# fmt: off
CHANNELS = (
    "Fp1", "Fp2", "F3", "F4", "F7", "F8", "T7", "T8", "C3", "C4",
    "P7", "P8", "P3", "P4", "O1", "O2", "Fz", "Cz", "Pz",
)
# fmt: on
CLASSES = ("rest", "arithmetic")
SAMPLING_RATE = 500.0
ATTRIBUTION = (
    "Zyma I, Tukaev S, Seleznov I, Kiyono K, Popov A, Chernykh M, Shpenkov O. Electroencephalograms during Mental "
    "Arithmetic Task Performance. Data 2019, 4(1), 14. https://doi.org/10.3390/data4010014. PhysioNet eegmat 1.0.0, "
    "https://physionet.org/content/eegmat/1.0.0/"
)
LICENCE = "ODC-By 1.0"

_FILE = re.compile(r"Subject(\d\d)_([12])\.edf")
_NEW_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
"""Names of the 10-20 system that the 10-10 system replaced."""


class EegmatReader(Reader):
    """Each subject has one recording at rest and one at arithmetic, cut into blocks that stand as trials.

    A protocol that splits by trials needs more than one a class, and inside a recording the order in time is the only
    honest split. The numbers of the arithmetic trials follow those of a full rest, however long this one is.
    """

    name: ClassVar[str] = "eegmat"
    corpus: ClassVar[str] = "eegmat"
    summary: ClassVar[str] = "rest and mental arithmetic, 36 subjects, 19 channels, 500 Hz (PhysioNet, open)"
    needs: ClassVar[str] = "SubjectNN_1.edf (rest) and SubjectNN_2.edf (arithmetic) of each subject, side by side"
    attribution: ClassVar[str | None] = ATTRIBUTION
    licence: ClassVar[str | None] = LICENCE

    rest_seconds: float = Field(60.0, gt=0)
    """How much of the end of the rest recording is kept, in s; all of it where it is shorter."""
    arithmetic_seconds: float = Field(62.0, gt=0)
    """How much of the start of the arithmetic recording is kept, in s; all of it where it is shorter."""
    block_seconds: float = Field(10.0, gt=0)
    """Length of the blocks that stand as trials, in s; the last one takes the remainder."""
    filter_whole_recording: bool = False
    """Whether the filters see what is not kept as well. Only the rest recording has such a part, and the ends of what
    is filtered carry an artefact of a second or so: if only arithmetic had it at its start, it would mark the class."""

    @property
    def classes(self) -> tuple[str, ...]:
        """At rest, or subtracting numbers in the head."""
        return CLASSES

    def subject_name(self, subject: int) -> str:
        """`Subject07`, as in the file names."""
        return f"Subject{subject:02d}"

    def files(self, root: Path) -> tuple[str, ...]:
        """Both recordings of each subject that is there."""
        # names with a dot in front are what some systems leave beside each file that they copy
        files = (path for path in corpus_folder(root).iterdir() if not path.name.startswith("."))
        names = sorted(path.name for path in files if path.suffix.lower() == ".edf")
        if not names:
            inside = sorted(path.parent for path in root.glob("**/Subject*_1.edf"))
            raise CorpusError(
                f"There are no recordings in '{root}': expected {self.needs}, found no .edf file.",
                f"--root {inside[0]} has some." if inside else None,
            )
        subjects = set()
        for name in names:
            match = _FILE.fullmatch(name)
            if match is None:
                raise CorpusError(
                    f"'{root / name}' is not a file of eegmat: expected SubjectNN_1.edf or SubjectNN_2.edf, "
                    f"found {name}."
                )
            subjects.add(int(match[1]))
        expected = [f"Subject{subject:02d}_{part}.edf" for subject in sorted(subjects) for part in (1, 2)]
        for name in expected:
            if name not in names:
                raise CorpusError(
                    f"'{root / name}' is missing: expected both recordings of {name.split('_')[0]}, found only the "
                    f"{'other' if name.endswith('_1.edf') else 'first'}."
                )
        return tuple(expected)

    def read(self, root: Path, file: str) -> Iterator[Recording]:
        """The one recording that a file holds."""
        match = _FILE.fullmatch(file)
        assert match is not None, file
        subject, label = int(match[1]), int(match[2]) - 1
        signal = read_edf(open_below(root, file), CHANNELS, _channel_name, SAMPLING_RATE)
        samples = signal.shape[1]
        wanted = round((self.rest_seconds, self.arithmetic_seconds)[label] * SAMPLING_RATE)
        kept = min(wanted, samples)
        start = samples - kept if label == CLASSES.index("rest") else 0
        notes: tuple[str, ...] = ()
        if kept < wanted:
            notes = (f"{file}: {kept / SAMPLING_RATE:g} s of {CLASSES[label]} instead of {wanted / SAMPLING_RATE:g} s",)
        if not self.filter_whole_recording:
            signal, start = signal[:, start : start + kept], 0
        yield Recording(
            source=str(root / file),
            subject=subject,
            session=1,
            channels=CHANNELS,
            sampling_rate=SAMPLING_RATE,
            signal=signal,
            trials=self._blocks(label, start, kept),
            notes=notes,
        )

    def _blocks(self, label: int, start: int, samples: int) -> tuple[TrialSpan, ...]:
        block = round(self.block_seconds * SAMPLING_RATE)
        edges = [start + index * block for index in range(max(1, samples // block))] + [start + samples]
        rest_blocks = max(1, round(self.rest_seconds * SAMPLING_RATE) // block)
        first = 1 if label == CLASSES.index("rest") else 1 + rest_blocks
        return tuple(TrialSpan(first + index, label, *edges[index : index + 2]) for index in range(len(edges) - 1))


def _channel_name(label: str) -> str:
    """`EEG T3` → `T7`; what is no scalp channel keeps its label."""
    name = label.removeprefix("EEG").strip()
    return _NEW_NAMES.get(name, name)
