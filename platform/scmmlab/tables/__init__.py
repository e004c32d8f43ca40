"""Feature tables: what they hold, how they are stored and recognised, and building one from a corpus."""

from scmmlab.tables.compatibility import check_mixable, common_channels
from scmmlab.tables.feature_table import FeatureTable
from scmmlab.tables.manifest import Manifest
from scmmlab.tables.storage import read_manifest, read_table, write_table

__all__ = [
    "FeatureTable",
    "Manifest",
    "check_mixable",
    "common_channels",
    "read_manifest",
    "read_table",
    "write_table",
]
