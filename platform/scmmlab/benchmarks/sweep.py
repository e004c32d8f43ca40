"""What share of its ceiling a sweep reaches: settings whose training only waits, in workers' slots.

Everything else is as in a sweep: Optuna samples, Tune's trials follow their settings, the broker fills slots, probes go
to the rungs, and records to the store.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scmmlab.benchmarks.overhead import nothing_base, nothing_transfer
from scmmlab.config import SweepSpec
from scmmlab.execution.progress import Progress
from scmmlab.execution.ray.engine import RayEngine
from scmmlab.execution.sweep.run import SweepRun
from scmmlab.study import ResultStore, make_plan
from scmmlab.tables import read_manifest
from scmmlab.tracking import Tracker, TuneTrialRecord
from scmmlab.training import Reporter, StageFailure, StageOutput, SweepRequest
from scmmlab.training.data import Tables
from scmmlab.training.sweep_stage import SweepSlots

TRIAL_S, REPORTS = 1.0, 5
"""How long a setting trains, and how often it is probed."""
SLOTS = 4
"""Of each worker."""
TRIALS_A_SLOT = 20
QUEUED = 0.5
"""Settings that wait, as a share of the slots: a slot that becomes free is filled at once, not after a round trip."""


class Waiting(SweepSlots):
    """Slots whose settings take `TRIAL_S` each, however many there are, and report `REPORTS` times.

    Parameters
    ----------
    tables, reporter, device, checkpoint_every
        As of :class:`SweepSlots`.
    """

    def __init__(self, tables: Tables, reporter: Reporter, device: str = "cpu", checkpoint_every: int = 10):
        super().__init__(tables, reporter, device, checkpoint_every)
        self._done: dict[str, int] = {}

    @property
    def used(self) -> int:
        """Settings that are here."""
        return len(self._done)

    def join(self, requests: Sequence[SweepRequest]) -> list[StageOutput | StageFailure]:
        """Let settings in."""
        self._done |= {request.key: 0 for request in requests}
        return []

    def epoch(self) -> list[StageOutput | StageFailure]:
        """Wait, and report for everyone."""
        time.sleep(TRIAL_S / REPORTS)
        for key in self._done:
            self._done[key] += 1
            self._reporter.epoch(key, "probe", self._done[key], REPORTS, {"probe": 1 / self._done[key]})
        left = [key for key, done in self._done.items() if done == REPORTS]
        for key in left:
            del self._done[key]
        return [StageOutput(key=key, kind="sweep", record={"key": key}, tensors={}) for key in left]


class Clock(Tracker):
    """Notes when settings end."""

    def __init__(self) -> None:
        self.ended_at: list[float] = []

    def finish_tune_trial(self, trial: TuneTrialRecord) -> None:
        """A setting has ended."""
        self.ended_at.append(time.perf_counter())


def benchmark_sweep(workers: int | None = None, trials_a_slot: int = TRIALS_A_SLOT) -> dict[str, Any]:
    """Run a sweep of settings that take a second each.

    Parameters
    ----------
    workers : int | None
        As many as there are CPUs when None.
    trials_a_slot : int
        Settings of the sweep, for each slot.

    Returns
    -------
    dict
        ``trials_per_minute``, from the first setting to end to the last; ``ceiling``, what slots that are always full
        would make; their ratio ``share_of_ceiling``; ``slots_used``, the share of slots in use while any was; and
        ``load`` (running processes of the machine before it).
    """
    workers = workers or os.cpu_count() or 1
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="scmmlab-bench-") as name:
        folder = Path(name)
        study = SweepSpec.model_validate(
            {
                "kind": "sweep",
                "name": "waiting",
                "base": nothing_base(),
                "space": {"masking.ratio": {"low": 0.1, "high": 0.9}},
                "transfers": [nothing_transfer(folder)],
                "tune_trials": trials_a_slot * workers * SLOTS,
                "concurrency": round(workers * SLOTS * (1 + QUEUED)),
                "asha": None,
                "resources": {"workers": workers, "pack_size": SLOTS},
            }
        )
        plan, clock = make_plan(study, read_manifest), Clock()
        engine = RayEngine(study.resources, plan.manifests, make_sweep_slots=Waiting)
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            progress = Progress(study.tune_trials, {}, stream=nowhere, noun="settings")
            run = SweepRun(plan, ResultStore(folder / "store"), engine, clock, progress)
            summary = run.run()
    assert summary.complete, summary.failures
    seconds = clock.ended_at[-1] - clock.ended_at[0]
    # the first pack is over when the clock starts
    rate = 60 * (study.tune_trials - workers * SLOTS) / seconds
    ceiling = 60 * workers * SLOTS / TRIAL_S
    return {
        "trials": study.tune_trials,
        "workers": workers,
        "slots": SLOTS,
        "trials_per_minute": rate,
        "ceiling": ceiling,
        "share_of_ceiling": rate / ceiling,
        "slots_used": run.slots_used,
        "load": load,
    }
