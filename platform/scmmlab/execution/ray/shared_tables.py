"""Sharing feature tables with the workers: each is read once, put into the object store, and held once per worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import pyarrow as pa
import ray
import ray.data

from scmmlab.errors import CorpusError
from scmmlab.tables import FeatureTable, Manifest, read_manifest
from scmmlab.tables.locations import locate
from scmmlab.tables.schema import from_arrow, table_schema
from scmmlab.tables.storage import read_rows


def quiet_ray_data() -> None:
    """Ray Data without its progress bars and plans, and with rows in the order in which they are stored."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    # ray.data sets its loggers up when it is first imported
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def read_dataset(location: str) -> ray.data.Dataset:
    """The rows of a feature table, in order, read into the object store.

    Parameters
    ----------
    location : str
        A folder, a URI, or `shipped:NAME`. A table on this machine is read by this process: other machines need no copy
        of it, and a head without CPUs can have it.
    """
    quiet_ray_data()
    found = locate(location)
    if found.local is not None:
        return ray.data.from_arrow(read_rows(location))
    read_manifest(location)  # its errors say more than Ray's
    dataset = ray.data.read_parquet(
        found.path,
        filesystem=found.filesystem,
        partitioning=None,
        file_extensions=["parquet"],
    )
    return dataset.materialize()


@dataclass(frozen=True)
class SharedTable:
    """A feature table in the object store. The manifest is JSON, as some processes only pass it on."""

    manifest: str
    rows: tuple[ray.ObjectRef[pa.Table], ...]
    """In order. Blocks, not a data set: to iterate over one, workers would start actors, which takes seconds."""


def share_tables(locations: Iterable[str]) -> dict[str, SharedTable]:
    """Feature tables by location, to be handed to the workers.

    They are passed in the training function's configuration: with ``datasets=`` of the trainer, a worker that replaces
    another would not get them (ray 2.60 splits them for a group of one, and then looks up the worker's rank).
    """
    return {
        location: SharedTable(read_manifest(location).model_dump_json(), _blocks(location))
        for location in sorted(set(locations))
    }


def _blocks(location: str) -> tuple[ray.ObjectRef[pa.Table], ...]:
    """A table's rows in the object store; a table on this machine needs no CPU of the cluster."""
    if locate(location).local is not None:
        return tuple(ray.put(rows) for rows in read_rows(location))
    return tuple(read_dataset(location).to_arrow_refs())


def receive_tables(shared: Mapping[str, SharedTable]) -> Callable[[str], FeatureTable]:
    """In a worker: location → table, each fetched when it is first used, and held from then on."""

    @cache
    def table(location: str) -> FeatureTable:
        return receive_table(location, shared[location])

    return table


def receive_table(location: str, shared: SharedTable) -> FeatureTable:
    """The table, checked against its fingerprint."""
    manifest = Manifest.model_validate_json(shared.manifest)
    table = receive_rows(manifest, shared.rows)
    found = table.content_fingerprint()
    if found != manifest.fingerprint:
        raise CorpusError(
            f"The feature table '{location}' reached a worker damaged: expected {manifest.windows} windows with "
            f"fingerprint {manifest.fingerprint[:16]}, got {len(table)} with {found[:16]}.",
            hint="build it again, or check it with --engine local",
        )
    return table


def receive_rows(manifest: Manifest, blocks: Sequence[ray.ObjectRef[pa.Table]]) -> FeatureTable:
    """A table of all rows of `blocks`, in the order in which they come."""
    schema = table_schema(manifest)
    columns = [block.select(schema.names).cast(schema) for block in ray.get(list(blocks))]
    return from_arrow(manifest, pa.concat_tables(columns) if columns else schema.empty_table())
