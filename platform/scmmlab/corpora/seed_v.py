"""SEED-V: five emotions by film clips, 16 subjects in three sessions, 62 channels (BCMI, on application)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import FeatureOrigin, Reader
from scmmlab.corpora.recording import FeatureRecording, Recording, TrialFeatures, TrialSpan
from scmmlab.corpora.seed_facts import BANDS, CHANNELS
from scmmlab.corpora.seed_facts_v import CLASSES, LABELS, NO_EEG, SAMPLING_RATE, STARTS, STOPS, SUBJECTS, WINDOW_S
from scmmlab.corpora.seed_folder import find_folder
from scmmlab.corpora.seed_sessions import LICENCE, shipped_origin
from scmmlab.corpora.unpickling import load_npz_safely
from scmmlab.errors import CorpusError

_FEATURES, _RAW = re.compile(r"([1-9]\d?)_123\.npz"), re.compile(r"([1-9]\d?)_([123])_(\d{8})\.cnt")
_HINT = "copy the file again from the corpus as it was received"
_TRIALS = 15
_OF_MNE = (ValueError, RuntimeError, OSError, AssertionError, IndexError, MemoryError, OverflowError, struct.error)
"""What MNE raises of files that are damaged."""


class SeedVReader(Reader):
    """A file of features a subject, or a raw recording a session."""

    name: ClassVar[str] = "seed_v"
    corpus: ClassVar[str] = "seed_v"
    summary: ClassVar[str] = "five emotions by film clips, 16 subjects x 3 sessions, 62 channels (BCMI, on application)"
    needs: ClassVar[str] = "EEG_DE_features/ with {subject}_123.npz, or EEG_raw/ with {subject}_{session}_{date}.cnt"
    attribution: ClassVar[str | None] = (
        "Liu W, Qiu J-L, Zheng W-L, Lu B-L. Comparing Recognition Performance and Robustness of Multimodal Deep "
        "Learning Models for Multimodal Emotion Recognition. IEEE Transactions on Cognitive and Developmental Systems "
        "2022, 14(2), 715-729."
    )
    licence: ClassVar[str | None] = LICENCE

    source: Literal["features", "raw"] = "features"
    """The features that the authors ship, or the recordings."""
    smoothing: Literal["as_shipped"] = "as_shipped"
    """Of the shipped features; there is one kind, and nothing that can be cited says which it is."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Disgust, fear, sad, neutral, happy."""
        return CLASSES

    @property
    def feature_origin(self) -> FeatureOrigin | None:
        """Shipped, unless signals are read."""
        return shipped_origin("not stated") if self.source == "features" else None

    def files(self, root: Path) -> tuple[str, ...]:
        """By subject and session, as numbers."""
        base, pattern, suffix = (
            ("EEG_DE_features", _FEATURES, ".npz") if self.source == "features" else ("EEG_raw", _RAW, ".cnt")
        )
        at_base = root.is_dir() and root.resolve().name == base
        folder = "." if at_base else find_folder(root, [base, f"SEED-V/{base}"], self.needs)
        found: dict[tuple[int, int], str] = {}
        for path in sorted(open_below(root, folder).iterdir()):
            if path.suffix.lower() != suffix or path.name.startswith("."):
                continue
            match = pattern.fullmatch(path.name)
            if match is None or int(match[1]) > SUBJECTS:
                raise CorpusError(
                    f"'{path}' is not a file of SEED-V: expected {self.needs} and subjects 1 to {SUBJECTS}, found "
                    f"{path.name}.",
                    "give the file its name as it was received, or take it out of the folder.",
                )
            key = (int(match[1]), int(match[2]) if suffix == ".cnt" else 0)
            if key in found:
                raise CorpusError(
                    f"'{path}' is there twice: expected one file a session, found '{found[key]}' as well.",
                    "keep the one that the corpus's authors say is right.",
                )
            found[key] = path.name if at_base else f"{folder}/{path.name}"
        if not found:
            raise CorpusError(
                f"There are no recordings in '{root / folder}': expected {self.needs}, found no {suffix}."
            )
        for subject in sorted({subject for subject, _ in found}):
            for session in sorted({session for _, session in found}):
                if (subject, session) not in found:
                    raise CorpusError(
                        f"A file is missing in '{root / folder}': expected session {session} of subject {subject}, "
                        f"found no {subject}_{session}_*.cnt.",
                        "copy the missing file as well.",
                    )
        return tuple(file for _, file in sorted(found.items()))

    def read(self, root: Path, file: str) -> Iterator[Recording | FeatureRecording]:
        """Three sessions of features, or the trials of a raw session, one in memory at a time."""
        path = open_below(root, file)
        if self.source == "features":
            match = _FEATURES.fullmatch(Path(file).name)
            assert match is not None, file
            yield from _read_features(path, int(match[1]))
        else:
            match = _RAW.fullmatch(Path(file).name)
            assert match is not None, file
            yield from _read_raw(path, int(match[1]), int(match[2]))


def _read_features(path: Path, subject: int) -> Iterator[FeatureRecording]:
    stored = load_npz_safely(path)
    keys = list(range(3 * _TRIALS))
    for name in ("data", "label"):
        part = stored.get(name)
        if not isinstance(part, Mapping) or sorted(part) != keys:
            found = f"{len(part)} entries" if isinstance(part, Mapping) else type(part).__name__
            raise _wrong(path, name, "a dictionary of 45 trials with keys 0 to 44", found)
    for session in (1, 2, 3):
        trials = []
        for trial in range(1, _TRIALS + 1):
            key = (session - 1) * _TRIALS + trial - 1
            label = LABELS[session - 1][trial - 1]
            values = _check_trial(path, key, stored["data"][key], stored["label"][key], session, trial)
            # a row has all bands of the first channel, then of the second, as torcheeg reads it as well; no word of the
            # authors is known
            shaped_WCF = values.reshape(len(values), len(CHANNELS), len(BANDS)).astype(np.float32)
            trials.append(TrialFeatures(trial, label, shaped_WCF))
        yield FeatureRecording(
            source=str(path),
            subject=subject,
            session=session,
            channels=CHANNELS,
            bands=BANDS,
            window_s=WINDOW_S,
            trials=trials,
        )


def _check_trial(path: Path, key: int, values: Any, labels: Any, session: int, trial: int) -> np.ndarray:
    seconds = STOPS[session - 1][trial - 1] - STARTS[session - 1][trial - 1]
    width = len(CHANNELS) * len(BANDS)
    if (
        not isinstance(values, np.ndarray)
        or values.dtype.kind != "f"
        or values.ndim != 2
        or values.shape[1] != width
        or abs(len(values) - seconds / WINDOW_S) > 1
    ):
        found = f"{values.shape} of {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
        raise _wrong(path, f"data[{key}]", f"about ({seconds / WINDOW_S:g}, {width}) of float64", found)
    known = LABELS[session - 1][trial - 1]
    if not isinstance(labels, np.ndarray) or labels.shape != (len(values),) or not (labels == known).all():
        found = f"{np.unique(labels)} in {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
        raise _wrong(path, f"label[{key}]", f"{known} for each of {len(values)} windows", found)
    if not np.isfinite(values).all():
        raise _wrong(path, f"data[{key}]", "finite numbers", "a NaN or an infinite one")
    return values


def _read_raw(path: Path, subject: int, session: int) -> Iterator[Recording]:
    # MNE takes a second to import
    import mne

    try:
        raw = mne.io.read_raw_cnt(path, preload=False, data_format="int32", verbose="ERROR")
    except _OF_MNE as error:
        raise _wrong(path, "the header", "a Neuroscan CNT file", f"what MNE says: {error}".splitlines()[0]) from error
    names = [name.upper() for name in raw.ch_names if name.upper() not in NO_EEG]
    if names != list(CHANNELS):
        raise _wrong(path, "the channels", ", ".join(CHANNELS), ", ".join(names))
    if raw.info["sfreq"] != SAMPLING_RATE:
        raise _wrong(path, "the sampling rate", f"{SAMPLING_RATE:g} Hz", f"{raw.info['sfreq']:g} Hz")
    picks = [index for index, name in enumerate(raw.ch_names) if name.upper() not in NO_EEG]
    needed = int(STOPS[session - 1][-1] * SAMPLING_RATE)
    held = path.stat().st_size // (4 * len(raw.ch_names))
    if min(raw.n_times, held) < needed:
        raise _wrong(path, "the length", f"at least {needed} samples", str(min(raw.n_times, held)))
    for trial in range(1, _TRIALS + 1):
        edges = [int(times[session - 1][trial - 1] * SAMPLING_RATE) for times in (STARTS, STOPS)]
        signal_CT = raw.get_data(picks=picks, start=edges[0], stop=edges[1]) * 1e6
        yield Recording(
            source=f"{path}, trial {trial}",
            subject=subject,
            session=session,
            channels=CHANNELS,
            sampling_rate=SAMPLING_RATE,
            signal=signal_CT,
            trials=(TrialSpan(trial, LABELS[session - 1][trial - 1], 0, signal_CT.shape[1]),),
        )


def _wrong(path: Path, what: str, expected: str, found: str) -> CorpusError:
    return CorpusError(f"In '{path}', {what} cannot be right: expected {expected}, found {found}.", _HINT)
