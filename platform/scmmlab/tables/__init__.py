"""Feature tables: what they hold, how they are stored and recognised, and building one from a corpus."""

from scmmlab.tables.build import FileMapper, Progress, build_table, map_here
from scmmlab.tables.compatibility import check_mixable, common_channels, mixed_features
from scmmlab.tables.extraction import FileExtraction
from scmmlab.tables.feature_table import FeatureTable
from scmmlab.tables.file_rows import FileRows
from scmmlab.tables.locations import shipped_tables
from scmmlab.tables.manifest import Manifest
from scmmlab.tables.renewal import Outcome, provide_table
from scmmlab.tables.schema import from_arrow, table_schema, to_arrow
from scmmlab.tables.shared_signals import shared_subjects, shared_text
from scmmlab.tables.storage import read_manifest, read_table, write_table
from scmmlab.tables.synthetic import synthetic_table, write_synthetic_table

__all__ = [
    "FeatureTable",
    "FileExtraction",
    "FileMapper",
    "FileRows",
    "Manifest",
    "Outcome",
    "Progress",
    "build_table",
    "check_mixable",
    "common_channels",
    "from_arrow",
    "map_here",
    "mixed_features",
    "provide_table",
    "read_manifest",
    "read_table",
    "shared_subjects",
    "shared_text",
    "shipped_tables",
    "synthetic_table",
    "table_schema",
    "to_arrow",
    "write_synthetic_table",
    "write_table",
]
