"""Studies: cells and their keys, plans, the result store, and what is read from it."""

from scmmlab.study.cells import Cell
from scmmlab.study.describe import NOT_REPEATABLE, describe, protocol_sentence, transfer_sentence
from scmmlab.study.estimate import Rates, estimate_seconds, finetune_steps, pretrain_steps
from scmmlab.study.folder import StudyFolder
from scmmlab.study.identity import StudyIdentity, known_identity, study_identity
from scmmlab.study.keys import cell_key, pretrain_key, sweep_key
from scmmlab.study.objects import StoredObject
from scmmlab.study.plan import Plan, make_plan
from scmmlab.study.requests import cell_request, pretrain_request, sweep_request
from scmmlab.study.results import ResultRow, result_rows, rows_csv, rows_json, trial_rows
from scmmlab.study.searches import is_complete, search_key, search_records, settled_records
from scmmlab.study.shards import Shard, plan_of_shard
from scmmlab.study.splits import check_splits
from scmmlab.study.status import CellState, CellStatus, StudyStatus, study_status
from scmmlab.study.store import Failure, ResultStore
from scmmlab.study.study_lease import LeaseHolder, lease_holders, study_lease
from scmmlab.study.tune_trials import TuneTrialRecord

__all__ = [
    "NOT_REPEATABLE",
    "Cell",
    "CellState",
    "CellStatus",
    "Failure",
    "LeaseHolder",
    "Plan",
    "Rates",
    "ResultRow",
    "ResultStore",
    "Shard",
    "StoredObject",
    "StudyFolder",
    "StudyIdentity",
    "StudyStatus",
    "TuneTrialRecord",
    "cell_key",
    "cell_request",
    "check_splits",
    "describe",
    "estimate_seconds",
    "finetune_steps",
    "is_complete",
    "known_identity",
    "lease_holders",
    "make_plan",
    "plan_of_shard",
    "pretrain_key",
    "pretrain_request",
    "pretrain_steps",
    "protocol_sentence",
    "result_rows",
    "rows_csv",
    "rows_json",
    "search_key",
    "search_records",
    "settled_records",
    "study_identity",
    "study_lease",
    "study_status",
    "sweep_key",
    "sweep_request",
    "transfer_sentence",
    "trial_rows",
]
