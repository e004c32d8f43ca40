"""A synthetic corpus as a feature table."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from scmmlab.config import fingerprint
from scmmlab.corpora import SYNTHETIC_VERSION, SyntheticSpec, synthetic_recordings
from scmmlab.features import FORM, LOG_BASE, UNIT
from scmmlab.tables.extraction import rows_of
from scmmlab.tables.feature_table import FeatureTable
from scmmlab.tables.manifest import Manifest
from scmmlab.tables.renewal import Outcome, provide_table


def synthetic_table(spec: SyntheticSpec | None = None) -> FeatureTable:
    """The feature table of a synthetic corpus; equal specs give equal tables."""
    spec = spec or SyntheticSpec()
    recordings = synthetic_recordings(spec, np.random.default_rng(spec.seed))
    rows = rows_of(f"synthetic corpus '{spec.name}'", recordings, len(spec.classes))
    columns: dict[str, Any] = {
        name: getattr(rows, name) for name in ("subject", "session", "trial", "window", "label", "features")
    }
    manifest = Manifest(
        corpus=spec.name,
        channels=rows.channels,
        bands=rows.bands,
        window_s=rows.window_s,
        classes=spec.classes,
        unit=UNIT,
        provenance={
            "origin": "synthetic",
            "log_base": LOG_BASE,
            "form": FORM,
            "version": SYNTHETIC_VERSION,
            "settings": spec.model_dump(mode="json"),
        },
        subjects={number: f"synthetic subject {number}" for number in range(1, spec.subjects + 1)},
        build=_build_identity(spec),
    )
    return FeatureTable.assemble(manifest, **columns, where=f"synthetic corpus '{spec.name}'")


def write_synthetic_table(spec: SyntheticSpec, location: str | os.PathLike[str], force: bool = False) -> Outcome:
    """Write the table of a synthetic corpus, unless it is there already; any other table stays, without `force`.

    Raises
    ------
    CorpusError
        If something else is there.
    """
    build = _build_identity(spec)
    return provide_table(
        location, build, lambda manifest: manifest.build == build, lambda: synthetic_table(spec), force
    )


def _build_identity(spec: SyntheticSpec) -> str:
    return fingerprint({"synthetic": SYNTHETIC_VERSION, **spec.model_dump(mode="json")}, length=64)
