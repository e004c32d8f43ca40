"""Problems and security risks of a machine, found before a study runs there, and how to fix each."""

from scmmlab.doctor.examination import Subject, examine
from scmmlab.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "Subject", "examine"]
