"""SEED-IV: four emotions by film clips, 15 subjects in three sessions, 62 channels, 200 Hz (BCMI, on application)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from scmmlab.corpora.opening import open_below
from scmmlab.corpora.seed_facts import SAMPLING_RATE
from scmmlab.corpora.seed_facts_iv import CLASSES, DATES, LABELS, THREE_CLASSES, WINDOW_S, WINDOWS
from scmmlab.corpora.seed_folder import Dates, find_folder
from scmmlab.corpora.seed_sessions import LICENCE, SessionsReader
from scmmlab.errors import CorpusError

_PER_WINDOW = int(SAMPLING_RATE * WINDOW_S)


class SeedIVReader(SessionsReader):
    """`eeg_feature_smooth/` and `eeg_raw_data/`, whose folders 1, 2 and 3 are the sessions."""

    name: ClassVar[str] = "seed_iv"
    corpus: ClassVar[str] = "seed_iv"
    summary: ClassVar[str] = "four emotions by film clips, 15 subjects x 3 sessions, 62 channels (BCMI, on application)"
    needs: ClassVar[str] = "eeg_feature_smooth/{1,2,3}/ or eeg_raw_data/{1,2,3}/ with {subject}_{date}.mat"
    attribution: ClassVar[str | None] = (
        "Zheng W-L, Liu W, Lu Y, Lu B-L, Cichocki A. EmotionMeter: A Multimodal Framework for Recognizing Human "
        "Emotions. IEEE Transactions on Cybernetics 2019, 49(3), 1110-1122."
    )
    licence: ClassVar[str | None] = LICENCE
    dates: ClassVar[Dates] = DATES

    emotions: Literal["four", "three"] = "four"
    """All four, or SEED's three: without fear; sad is negative, happy positive."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Neutral, sad, fear, happy; or SEED's."""
        return CLASSES if self.emotions == "four" else ("negative", "neutral", "positive")

    def _folders(self, root: Path) -> Mapping[str, int | None]:
        base = "eeg_feature_smooth" if self.source == "features" else "eeg_raw_data"
        if not (root.is_dir() and root.resolve().name == base):
            base = find_folder(root, [base, f"SEED_IV/{base}", f"SEED-IV/{base}"], self.needs)
        else:
            base = "."
        folders: dict[str, int | None] = {}
        for session in (1, 2, 3):
            folder = str(session) if base == "." else f"{base}/{session}"
            if open_below(root, folder).is_dir():
                folders[folder] = session
        if not folders:
            raise CorpusError(f"'{root / base}' has no sessions: expected folders 1, 2 and 3, found none of them.")
        return folders

    def _folder_session(self, file: str) -> int | None:
        return int(file.split("/")[-2])

    def _windows(self, session: int) -> tuple[int | None, ...]:
        return WINDOWS[session - 1]

    def _near(self, session: int) -> tuple[float, ...]:
        return tuple(float(windows) for windows in WINDOWS[session - 1])

    def _fits(self, session: int, trial: int, samples: int) -> bool:
        # W = floor(samples / 800)
        return samples // _PER_WINDOW == WINDOWS[session - 1][trial - 1]

    def _shown_samples(self, session: int) -> tuple[str, ...]:
        return tuple(f"{w * _PER_WINDOW} to {(w + 1) * _PER_WINDOW - 1}" for w in WINDOWS[session - 1])

    def _labels(self, session: int) -> tuple[int | None, ...]:
        names = [CLASSES[label] for label in LABELS[session - 1]]
        if self.emotions == "three":
            names = [THREE_CLASSES.get(name, "") for name in names]
        return tuple(self.classes.index(name) if name else None for name in names)

    def _seconds(self) -> float:
        return WINDOW_S
