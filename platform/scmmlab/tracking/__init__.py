"""Where people look at a study as it goes: MLflow, a tracker in memory, and the versions that computed it."""

from scmmlab.study import TuneTrialRecord
from scmmlab.tracking.memory import MemoryTracker
from scmmlab.tracking.mlflow_tracker import MlflowTracker
from scmmlab.tracking.moved import bring_artifacts_along
from scmmlab.tracking.owner import Owner
from scmmlab.tracking.tracker import DataInput, Tracker, data_inputs
from scmmlab.tracking.ui import study_page, ui_command
from scmmlab.tracking.uris import default_tracking_uri, shown_uri
from scmmlab.tracking.versions import git_commit, versions

__all__ = [
    "DataInput",
    "MemoryTracker",
    "MlflowTracker",
    "Owner",
    "Tracker",
    "TuneTrialRecord",
    "bring_artifacts_along",
    "data_inputs",
    "default_tracking_uri",
    "git_commit",
    "shown_uri",
    "study_page",
    "ui_command",
    "versions",
]
