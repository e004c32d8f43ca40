"""Trackers: a study as people watch it, in memory or in MLflow."""

from scmmlab.tracking.base import TrackedCell, Tracker
from scmmlab.tracking.datasets import DatasetInfo, dataset_info
from scmmlab.tracking.memory import MemoryTracker
from scmmlab.tracking.mlflow_tracker import MlflowTracker, default_artifact_root, default_tracking_uri
from scmmlab.tracking.ui import ui_command
from scmmlab.tracking.versions import git_commit, software_versions

__all__ = [
    "DatasetInfo",
    "MemoryTracker",
    "MlflowTracker",
    "TrackedCell",
    "Tracker",
    "dataset_info",
    "default_artifact_root",
    "default_tracking_uri",
    "git_commit",
    "software_versions",
    "ui_command",
]
