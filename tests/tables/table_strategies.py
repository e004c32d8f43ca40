"""Feature tables drawn by Hypothesis, and a small fixed one."""

import numpy as np
from hypothesis import strategies as st

from scmmlab.tables import FeatureTable, Manifest

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)


def manifest(**changes):
    values = {
        "corpus": "small",
        "channels": ("Fz", "Cz", "Pz"),
        "bands": {"theta": (4.0, 8.0), "alpha": (8.0, 14.0)},
        "window_s": 1.0,
        "classes": ("negative", "neutral", "positive"),
        "unit": "nat, of a signal in µV",
        "provenance": {"origin": "computed", "log_base": "e", "form": "0.5*ln(2*pi*e*variance)"},
        "subjects": {1: "S01", 2: "S02"},
    }
    return Manifest(**{**values, **changes})


def columns(subjects=(1, 2), sessions=(1,), trials=6, windows=4, classes=3, shape=(3, 2), seed=0):
    """Rows of a full table: trial t has label (t - 1) modulo the number of classes."""
    keys = np.array(
        [(s, n, t, w) for s in subjects for n in sessions for t in range(1, trials + 1) for w in range(windows)]
    )
    features = np.random.default_rng(seed).normal(size=(len(keys), *shape)).astype(np.float32)
    subject, session, trial, window = keys.T
    return {
        "subject": subject,
        "session": session,
        "trial": trial,
        "window": window,
        "label": (trial - 1) % classes,
        "features": features,
    }


def small_table(**changes):
    return FeatureTable.assemble(manifest(**changes), **columns())


@st.composite
def tables(draw):
    channels = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.lower))
    bands = draw(
        st.dictionaries(NAMES, st.sampled_from([(1.0, 4.0), (4.5, 8.0), (31.0, 50.0)]), min_size=1, max_size=3)
    )
    classes = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    subjects = draw(st.lists(st.integers(0, 200), min_size=1, max_size=3, unique=True))
    rows = columns(
        subjects,
        range(1, draw(st.integers(1, 2)) + 1),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        len(classes),
        (len(channels), len(bands)),
        draw(st.integers(0, 99)),
    )
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(rows["label"]))
    what = manifest(
        corpus=draw(NAMES),
        channels=channels,
        bands=bands,
        classes=classes,
        subjects={subject: f"S{subject}" for subject in subjects},
        raw_files=draw(st.dictionaries(NAMES, NAMES, max_size=2)),
        attribution=draw(st.none() | NAMES),
    )
    return FeatureTable.assemble(what, **{name: column[order] for name, column in rows.items()})
