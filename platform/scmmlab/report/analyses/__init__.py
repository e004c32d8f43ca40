"""The analyses that make up a report: one file each; their order is the report's."""

from scmmlab.report.analyses.all_metrics import AllMetrics
from scmmlab.report.analyses.best_setting import BestSetting
from scmmlab.report.analyses.comparison import Comparison
from scmmlab.report.analyses.confusion_matrices import ConfusionMatrices
from scmmlab.report.analyses.folds import Folds
from scmmlab.report.analyses.in_short import InShort
from scmmlab.report.analyses.leak_page import LeakPage
from scmmlab.report.analyses.learning_curves import LearningCurves
from scmmlab.report.analyses.main_results import MainResults
from scmmlab.report.analyses.missing import Missing
from scmmlab.report.analyses.per_subject import PerSubject
from scmmlab.report.analyses.search_history import SearchHistory
from scmmlab.report.analyses.search_importance import SearchImportance
from scmmlab.report.analyses.search_pareto import SearchPareto
from scmmlab.report.analyses.search_slices import SearchSlices
from scmmlab.report.analyses.settings import AllSettings
from scmmlab.report.analyses.what_was_run import WhatWasRun
from scmmlab.report.analysis import Analysis
from scmmlab.report.inputs import StudyResults


def analyses_of(results: StudyResults) -> list[Analysis]:
    """The sections of a study's report, in order."""
    if results.study.kind == "sweep":
        return [
            BestSetting(),
            *([SearchPareto()] if "epochs" in results.search.objectives else []),
            SearchHistory(),
            SearchImportance(),
            SearchSlices(),
            WhatWasRun(),
            Missing(),
            AllSettings(),
        ]
    return [
        InShort(),
        WhatWasRun(),
        MainResults(),
        Comparison(),
        LeakPage(),
        LearningCurves(),
        ConfusionMatrices(),
        AllMetrics(),
        PerSubject(),
        Folds(),
        Missing(),
        AllSettings(),
    ]


__all__ = [
    "AllMetrics",
    "AllSettings",
    "BestSetting",
    "Comparison",
    "ConfusionMatrices",
    "Folds",
    "InShort",
    "LeakPage",
    "LearningCurves",
    "MainResults",
    "Missing",
    "PerSubject",
    "SearchHistory",
    "SearchImportance",
    "SearchPareto",
    "SearchSlices",
    "WhatWasRun",
    "analyses_of",
]
