"""What is wrong with a machine, or unsafe on it, before a study runs there; and how to mend each."""

from scmmlab.doctor.examination import Subject, examine
from scmmlab.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "Subject", "examine"]
