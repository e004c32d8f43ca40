"""A source selection as a data set of Ray Data that can be split: each window with its row in the selection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import ray.data
from numpy.typing import NDArray

from scmmlab.config import CorpusSelection, fingerprint
from scmmlab.execution.ray.shared_tables import read_dataset
from scmmlab.tables import FeatureTable, Manifest, read_manifest
from scmmlab.tables.checks import KEY_COLUMNS

PADDING = -1
"""Row of a padding window: Ray Data gives all workers the same number of windows."""

Rows = NDArray[np.int64]


def source_name(selection: CorpusSelection, channels: tuple[str, ...]) -> str:
    """Name of the data set of a source selection."""
    return f"source-{fingerprint([selection.model_dump(mode='json'), list(channels)])}"


def share_source(selection: CorpusSelection, channels: tuple[str, ...], workers: int) -> ray.data.Dataset:
    """The windows of a source selection, with columns ``row`` (in the selection) and ``features``.

    The features stay with Ray Data; only which window each row is passes through this process.

    Parameters
    ----------
    selection : CorpusSelection
        The source.
    channels : tuple of str
        Channels that the model sees, in order.
    workers : int
        Number of equal parts that it will be split into: up to ``workers − 1`` windows of padding are added.
    """
    dataset = read_dataset(selection.table)
    manifest = read_manifest(selection.table)
    rows = SelectedRows.of(selection, manifest, dataset)
    width = len(channels) * len(manifest.bands)
    schema = pa.schema([("row", pa.int64()), ("features", pa.list_(pa.float32(), width))])
    selected = dataset.map_batches(
        _numbered,
        fn_kwargs={"rows": rows, "columns": _feature_columns(manifest, channels), "schema": schema},
        batch_format="pyarrow",
        batch_size=None,
    )
    missing = -rows.count % workers
    if missing:
        padding = _as_table(np.full(missing, PADDING), np.zeros((missing, width), np.float32), schema)
        selected = selected.union(ray.data.from_arrow(padding))
    return selected.materialize()


def receive_source(shard: ray.data.DataIterator, channels: int) -> tuple[Rows, NDArray[np.float32]]:
    """In a worker: its part of a source, as rows and features [n, C, F]."""
    batches = list(shard.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
    table = pa.concat_tables(batches)
    features = table.column("features").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    rows = table.column("row").to_numpy()
    return rows, np.ascontiguousarray(features, np.float32).reshape(len(rows), channels, -1)


@dataclass(frozen=True)
class SelectedRows:
    """Which row of a selection a window of the table is, by its subject, session, trial and window."""

    codes: Rows
    """The four numbers of each selected window as one, ascending."""
    strides: tuple[int, ...]
    """What each of the four counts in a code."""

    @classmethod
    def of(cls, selection: CorpusSelection, manifest: Manifest, dataset: ray.data.Dataset) -> SelectedRows:
        """The selected windows of the table that `dataset` holds."""
        names = [*KEY_COLUMNS, "label"]
        batches = dataset.select_columns(names).iter_batches(batch_size=None, batch_format="pyarrow")
        table = pa.concat_tables(list(batches))
        columns = {name: table.column(name).to_numpy() for name in names}
        # the table without its features: selecting is the same
        nothing = np.zeros((len(table), 0, 0), np.float32)
        part = FeatureTable(
            manifest,
            **{name: columns[name].astype(np.int32) for name in KEY_COLUMNS},
            label=columns["label"].astype(np.int64),
            features=nothing,
        ).select(selection)
        spans = [int(columns[name].max(initial=0)) + 1 for name in KEY_COLUMNS]
        strides = tuple(int(np.prod(spans[index + 1 :], dtype=np.int64)) for index in range(len(spans)))
        return cls(_codes([getattr(part, name) for name in KEY_COLUMNS], strides), strides)

    @property
    def count(self) -> int:
        """Windows of the selection."""
        return len(self.codes)

    def find(self, keys: list[NDArray[np.int32]]) -> Rows:
        """The row of each window in the selection, −1 for those that are not in it."""
        codes = _codes(keys, self.strides)
        rows = np.searchsorted(self.codes, codes).clip(max=max(self.count - 1, 0))
        return np.where(self.codes[rows] == codes, rows, -1)


def _codes(keys: list[NDArray[np.int32]], strides: tuple[int, ...]) -> Rows:
    codes = np.zeros(len(keys[0]), np.int64)
    for key, stride in zip(keys, strides, strict=True):
        codes += key.astype(np.int64) * stride
    return codes


def _feature_columns(manifest: Manifest, channels: tuple[str, ...]) -> Rows:
    """Which of a window's features belong to `channels`, in their order."""
    index = {name.lower(): number for number, name in enumerate(manifest.channels)}
    bands = np.arange(len(manifest.bands))
    return np.concatenate([index[name.lower()] * len(bands) + bands for name in channels])


def _numbered(batch: pa.Table, rows: SelectedRows, columns: Rows, schema: pa.Schema) -> pa.Table:
    found = rows.find([batch.column(name).to_numpy() for name in KEY_COLUMNS])
    values = batch.column("features").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    features = values.reshape(batch.num_rows, -1)[:, columns]
    return _as_table(found[found >= 0], features[found >= 0], schema)


def _as_table(rows: Rows, features: NDArray[np.float32], schema: pa.Schema) -> pa.Table:
    values = pa.array(np.ascontiguousarray(features).reshape(-1), pa.float32())
    listed = pa.FixedSizeListArray.from_arrays(values, features.shape[1])
    return pa.table([pa.array(rows, pa.int64()), listed.cast(schema.field("features").type)], schema=schema)
