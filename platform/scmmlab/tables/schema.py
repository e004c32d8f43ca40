"""The columns of a feature table in Arrow, and the way there and back."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scmmlab.tables.checks import KEY_COLUMNS
from scmmlab.tables.feature_table import FeatureTable
from scmmlab.tables.manifest import Manifest

FINGERPRINT_KEY = b"scmmlab.fingerprint"


def table_schema(manifest: Manifest) -> pa.Schema:
    """corpus, subject, session, trial, window, label, features; the manifest's fingerprint is in the metadata.

    The features of a window are one fixed-size list of float32, channel by channel, each with its bands.
    """
    number = pa.int32()
    element = pa.field("element", pa.float32(), nullable=False)
    return pa.schema(
        [
            pa.field("corpus", pa.string(), nullable=False),
            *(pa.field(name, number, nullable=False) for name in (*KEY_COLUMNS, "label")),
            pa.field("features", pa.list_(element, manifest.features_per_window), nullable=False),
        ],
        metadata={FINGERPRINT_KEY: manifest.fingerprint.encode()},
    )


def to_arrow(table: FeatureTable) -> pa.Table:
    """The table as an Arrow table of `table_schema`."""
    schema = table_schema(table.manifest)
    features = pa.FixedSizeListArray.from_arrays(
        pa.array(table.features.reshape(-1), pa.float32()), type=schema.field("features").type
    )
    columns = [
        pa.array([table.manifest.corpus] * len(table), pa.string()),
        *(pa.array(getattr(table, name)) for name in KEY_COLUMNS),
        pa.array(table.label.astype(np.int32)),
        features,
    ]
    return pa.table(columns, schema=schema)


def from_arrow(manifest: Manifest, rows: pa.Table) -> FeatureTable:
    """The feature table whose rows these are; their schema must be `table_schema(manifest)`."""

    def numbers(name: str) -> NDArray[np.int32]:
        return np.ascontiguousarray(rows.column(name).to_numpy())

    features = rows.column("features").combine_chunks()
    values = features.flatten().to_numpy(zero_copy_only=False)
    return FeatureTable(
        manifest,
        subject=numbers("subject"),
        session=numbers("session"),
        trial=numbers("trial"),
        window=numbers("window"),
        label=numbers("label").astype(np.int64),
        features=np.ascontiguousarray(values, dtype=np.float32).reshape(
            -1, len(manifest.channels), len(manifest.bands)
        ),
    )
