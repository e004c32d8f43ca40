"""Problems and security risks of a machine, found before a study runs there, and how to fix each."""

from scmmlab.doctor.check_result import CheckResult, Level
from scmmlab.doctor.examination import Subject, examine

__all__ = ["CheckResult", "Level", "Subject", "examine"]
