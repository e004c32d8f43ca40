"""How many workers and machines a run has lost, and of what; kept in the study's folder for `scmmlab status`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from scmmlab.errors import LossKind
from scmmlab.study.folder import StudyFolder

FILE = "workers.json"


@dataclass(frozen=True)
class WorkerLosses:
    """Workers that were lost."""

    crash: int = 0
    """By an error or a signal."""
    out_of_memory: int = 0
    """Killed for want of memory."""
    machine: int = 0
    """Machines of which nobody had said that they would go, each with all its workers."""
    preemption: int = 0
    """Told to go, with their machine or alone."""
    last: str = ""
    """What was said of the last one."""

    @property
    def failures(self) -> int:
        """Those that count against `resources.max_failures`."""
        return self.crash + self.out_of_memory

    @property
    def taken(self) -> int:
        """Those that count against `resources.max_preemptions`."""
        return self.preemption + self.machine

    def plus(self, kind: LossKind, said: str) -> WorkerLosses:
        """These and another one."""
        return replace(self, **{kind: getattr(self, kind) + 1}, last=said)

    def text(self) -> str:
        """Those that there were, in a few words; empty where there was none."""
        words = {
            "crashed": self.crash,
            "out of memory": self.out_of_memory,
            f"machine{'s' if self.machine > 1 else ''} lost": self.machine,
            "preempted": self.preemption,
        }
        found = [f"{number} {what}" for what, number in words.items() if number]
        return f"workers: {', '.join(found)}" if found else ""


def keep_worker_losses(folder: StudyFolder, losses: WorkerLosses) -> None:
    """Note the losses of a run, in place of those of the run before."""
    if losses.text() or folder.has(FILE):
        folder.write_text(FILE, json.dumps(asdict(losses), indent=1) + "\n")


def worker_losses(folder: StudyFolder) -> WorkerLosses:
    """The losses of the last run; none where nothing is known of them."""
    try:
        found = json.loads(folder.read_text(FILE) or "{}")
        return WorkerLosses(**{name: found[name] for name in asdict(WorkerLosses()) if name in found})
    except (ValueError, TypeError):  # it was edited by hand
        return WorkerLosses()
