"""Corpora as splits see them: who, which session, which trial, which class; without features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from scmmlab.tables import Manifest

Trial = tuple[int, int, int, int, int]  # subject, session, trial, label, windows


@dataclass(frozen=True)
class Layout:
    """The columns of a feature table that `make_folds` reads."""

    manifest: Manifest
    subject: np.ndarray
    session: np.ndarray
    trial: np.ndarray
    label: np.ndarray


def layout(trials: list[Trial], classes: tuple[str, ...], fingerprint: str = "0") -> Layout:
    rows = np.array([row[:4] for row in sorted(trials) for _ in range(row[4])], dtype=np.int64).reshape(-1, 4)
    manifest = Manifest(
        corpus="layout",
        channels=("Fz",),
        bands={"alpha": (8, 14)},
        window_s=1,
        classes=classes,
        unit="nat",
        provenance={"origin": "synthetic"},
        subjects={number: str(number) for number in sorted(set(rows[:, 0].tolist()))},
        fingerprint=fingerprint,
    )
    subject, session, trial = (rows[:, column].astype(np.int32) for column in range(3))
    return Layout(manifest, subject, session, trial, rows[:, 3])


def regular(subjects: list[int], labels: list[int], sessions: int = 1, windows: int = 2, **options: str) -> Layout:
    """All subjects see the same clips in the same order, in every session."""
    trials = [
        (subject, session, number, label, windows)
        for subject in subjects
        for session in range(1, sessions + 1)
        for number, label in enumerate(labels, start=1)
    ]
    return layout(trials, tuple(f"class {label}" for label in range(max(labels) + 1)), **options)


@st.composite
def layouts(draw: st.DrawFn, min_subjects: int = 1) -> Layout:
    """Arbitrary subject, session and trial numbers, orders of classes, and lengths of trials."""
    classes = draw(st.integers(2, 3))
    subjects = draw(st.lists(st.integers(0, 40), min_size=min_subjects, max_size=6, unique=True))
    trials: list[Trial] = []
    for subject in subjects:
        for session in draw(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True)):
            numbers = draw(st.lists(st.integers(0, 60), min_size=classes, max_size=14, unique=True))
            label, windows = st.integers(0, classes - 1), st.integers(1, 3)
            trials.extend((subject, session, number, draw(label), draw(windows)) for number in numbers)
    return layout(trials, tuple(f"class {label}" for label in range(classes)))
