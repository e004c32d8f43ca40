"""What every reader of a corpus offers: which files to read, and what one of them holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from scmmlab.config import Spec
from scmmlab.corpora.finding import Finding, RecordingSummary
from scmmlab.corpora.left_out import LeftOut
from scmmlab.corpora.recording import FeatureRecording, Recording
from scmmlab.corpora.unused import unused
from scmmlab.errors import CorpusError


@dataclass(frozen=True)
class FeatureOrigin:
    """How the features of a corpus that ships them were made, as far as it is known.

    Parameters
    ----------
    origin : {"shipped", "computed"}
        `shipped` by the corpus's authors, in ways that may not be known in full; `computed` as scmmlab does.
    feature, unit, log_base, form : str
        Which feature; see `scmmlab.features`.
    facts : dict
        Anything else for the manifest.
    """

    origin: Literal["shipped", "computed"]
    feature: str
    unit: str
    log_base: str
    form: str
    facts: dict[str, Any] = field(default_factory=dict)


class Reader(Spec, ABC):
    """A corpus on disk. What a user may choose about it are its fields; what is true of it are its class variables.

    Files are read one at a time and each by itself, so that they can be read in parallel and one is in memory at a
    time. A reader asserts what is known about its corpus on all that it reads, and says what it expected and found.
    """

    name: ClassVar[str]
    """Name of the reader."""
    corpus: ClassVar[str]
    """Name of the corpus in tables."""
    summary: ClassVar[str]
    """What the corpus is, in a line."""
    needs: ClassVar[str]
    """What the root folder must hold, in a line."""
    version: ClassVar[int] = 1
    """Raised whenever the same files would be read otherwise, so that tables made before are known to be stale."""
    attribution: ClassVar[str | None] = None
    """Whom to cite."""
    licence: ClassVar[str | None] = None
    """Under which terms the corpus may be passed on."""

    @property
    def corpus_name(self) -> str:
        """Name of the corpus in the tables that are made with these settings."""
        return self.corpus

    @property
    def feature_origin(self) -> FeatureOrigin | None:
        """How the features were made; None where signals are read, as the settings say."""
        return None

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Class names; a label is an index into them."""

    @abstractmethod
    def files(self, root: Path) -> tuple[str, ...]:
        """The raw files to read, as paths relative to `root` with `/`, in the order of their subjects and sessions.

        Raises
        ------
        CorpusError
            If files are missing, or there are some that should not be.
        """

    def companions(self, root: Path) -> tuple[str, ...]:
        """Files beside the raw ones whose bytes decide labels, order or channels, as paths like those of `files`.

        A table is stale once one of them has changed, is gone or is new. This default has none.

        Raises
        ------
        CorpusError
            If one that is needed is missing.
        """
        del root
        return ()

    def left_out(self, root: Path) -> tuple[LeftOut, ...]:
        """What lies in the folder and is neither one of `files` nor beside them.

        Raises
        ------
        CorpusError
            As `files` and `companions` do.
        """
        return unused(root, {*self.files(root), *self.companions(root)})

    @abstractmethod
    def read(self, root: Path, file: str) -> Iterator[Recording | FeatureRecording | LeftOut]:
        """What one of `files` holds, and what of it is left out.

        Raises
        ------
        CorpusError
            If the file is not what it should be.
        """

    def check(self, root: Path) -> Iterator[Finding]:
        """Examine a folder against what is known of the corpus, fact by fact; computes nothing and never stops early.

        Parameters
        ----------
        root : Path
            The corpus's folder.
        """
        try:
            files = self.files(root)
        except CorpusError as error:
            yield Finding.of_error(".", error)
            return
        yield Finding(True, ".", "files", self.needs, f"{len(files)} files")
        for file in files:
            yield from self.check_file(root, file)
        try:
            yield from map(Finding.of_left_out, self.left_out(root))
        except CorpusError as error:
            yield Finding.of_error(".", error)

    def check_file(self, root: Path, file: str) -> Iterator[Finding]:
        """Examine one of `files`; this default reads it whole, and readers that can tell by a header say more."""
        trials = 0
        left_out: list[LeftOut] = []
        trials_of: Counter[tuple[int, int, int]] = Counter()
        try:
            for part in self.read(root, file):
                if isinstance(part, LeftOut):
                    left_out.append(part)
                else:
                    trials += len(part.trials)
                    trials_of.update((part.subject, part.session, trial.label) for trial in part.trials)
        except CorpusError as error:
            yield Finding.of_error(file, error)
        else:
            yield Finding(True, file, "content", "a recording that can be read", f"{trials} trials")
            for subject, session in sorted({(subject, session) for subject, session, _ in trials_of}):
                counts = {name: trials_of[subject, session, label] for label, name in enumerate(self.classes)}
                found = RecordingSummary(subject, session, 0, self.subject_name(subject), str(session), counts)
                shown = ", ".join(f"{name} {count}" for name, count in counts.items())
                what = f"trials of {found.name}, session {session}"
                yield Finding(True, file, what, "one or more", shown, summary=found)
            yield from map(Finding.of_left_out, left_out)

    def subject_name(self, subject: int) -> str:
        """What the corpus calls a subject."""
        return str(subject)

    def subject_names(self, root: Path) -> dict[int, str]:
        """What a corpus on disk calls those subjects whose names the files alone tell; none where numbers tell them."""
        return {}


def corpus_folder(root: Path) -> Path:
    """`root`, or a `CorpusError` where it is no folder."""
    if not root.is_dir():
        raise CorpusError(
            f"There is no corpus in '{root}': expected a folder, found {'a file' if root.exists() else 'nothing'}."
        )
    return root
