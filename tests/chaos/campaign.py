"""A campaign: a study that is run by the command, struck at moments drawn from a seed, and judged when it is finished.

A moment is something that the run has done (an epoch, a checkpoint, an object in the store, its claim), and no time.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from chaos_studies import REPORT_EVERY, write_studies
from life import Life
from mlflow_server import MlflowServer
from ray_nodes import RayNodes
from strikes import STRIKES, Scene
from survival import StoreWatch, check_finished_once, check_mlflow, files_of, repeated_epochs
from troubled_disk import TroubledDisk

from s3_server import S3Server
from scmmlab.execution.checkpoint_pace import CHECKPOINT_S

MOMENTS = {"claimed": 1, "started": 2, "epoch": 40, "kept": 2, "stored": 2}
"""What a run can be met at → how many more of them there are to be, at most."""
FURTHER = ("epoch", "kept")
"""What there is enough of left for a run that goes on after a strike."""


@dataclass(frozen=True)
class Moment:
    """When the run has done so many more of these."""

    what: str
    number: int

    def __str__(self) -> str:
        return f"after {self.number} {self.what}"


@dataclass
class Tally:
    """What campaigns came to."""

    kills: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    """Strikes whose moment did not come."""
    campaigns: int = 0
    lives: int = 0
    cells: int = 0
    repeated: int = 0
    """Epochs done twice."""
    objects: int = 0
    """Objects of the stores, each of which was written once."""
    shown: int = 0
    """Runs in MLflow, each of which is there once."""
    files: int = 0
    """Results and files of reports, each of which is that of an undisturbed run."""

    def add(self, other: Tally) -> None:
        """Count another's."""
        self.kills += other.kills
        for name in ("missed", "campaigns", "lives", "cells", "repeated", "objects", "shown", "files"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __str__(self) -> str:
        kills = ", ".join(f"{name} {times}" for name, times in sorted(self.kills.items()))
        return (
            f"{self.campaigns} studies, {self.lives} runs, {self.cells} cells and settings\n"
            f"{sum(self.kills.values())} strikes: {kills}\n{self.missed} whose moment did not come\n"
            f"{self.repeated} epochs done twice, each time within a checkpoint's interval\n"
            f"{self.objects} objects, none written twice; {self.shown} runs in MLflow, none twice\n"
            f"{self.files} files of results and reports, none of which differs from an undisturbed run's"
        )


class Arena:
    """The studies, and how they come out when nobody disturbs them.

    Parameters
    ----------
    folder : Path
        For all of it.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.files = write_studies(folder)
        self._undisturbed: dict[str, tuple[str, dict[str, bytes]]] = {}

    def command(self, name: str, store: str, *more: str) -> str:
        """What `scmmlab NAME STUDY …` prints; it ends well."""
        command = [sys.executable, "-m", "scmmlab.cli.main", *more, "--store", store]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        assert done.returncode == 0, f"{more} on {name}: {done.stdout}{done.stderr}"
        return done.stdout

    def tables(self, name: str, store: str) -> tuple[str, dict[str, bytes]]:
        """The results and the report's files."""
        study, out = str(self.files[name]), self.folder / "report"
        results = self.command(name, store, "results", study)
        self.command(name, store, "report", study, "--out", str(out))
        return results, files_of(out)

    def undisturbed(self, name: str) -> tuple[str, dict[str, bytes]]:
        """Those of a run in one process that is left alone; made once."""
        if name not in self._undisturbed:
            store = str(self.folder / "undisturbed")
            more = ("--engine", "local", "--tracking-uri", "none")
            self.command(name, store, "run", str(self.files[name]), *more)
            self._undisturbed[name] = self.tables(name, store)
        return self._undisturbed[name]


@dataclass
class Campaign:
    """A study, where it is run, and what is done to it.

    Everything that is drawn comes from `seed`; `str` says how to see the same again.
    """

    arena: Arena
    study: str
    engine: str
    strikes: Sequence[str]
    seed: str
    store: str
    checkpoint_s: float = 0.5
    nodes: RayNodes | None = None
    disk: TroubledDisk | None = None
    s3: S3Server | None = None
    mlflow: MlflowServer | None = None
    say: Callable[[str], object] = print

    def run(self) -> Tally:
        """Run the study to its end through all strikes, and judge it.

        Raises
        ------
        AssertionError
            With what does not hold.
        """
        draw = random.Random(self.seed)
        plan = self._plan(draw)
        told = ", ".join(f"{name} {moment}" for name, moment in plan)
        self.say(f"{self.study} by {self.engine}, checkpoints every {self.checkpoint_s:g} s: {told}")
        tally, watch = Tally(campaigns=1), StoreWatch(self.store, self.study)
        lives: list[Life] = []
        there: list[set[str]] = []
        try:
            while not lives or lives[-1].end() != 0:
                there.append(watch.look())
                cluster = self.nodes.environment if self.nodes else None
                life = Life(self._arguments(), self.checkpoint_s, self.arena.folder, cluster)
                lives.append(life)
                scene = Scene(life, draw, lambda: len(watch.look()), self.nodes, self.disk, self.s3, self.mlflow)
                self._live(scene, plan, watch, tally)
                watch.look()
        finally:
            # what a killed driver leaves of Ray is in nobody's way meanwhile
            for life in lives:
                life.sweep_up()
        tally.missed = len(plan)
        self._judge([life.notes for life in lives], there, watch, tally)
        return tally

    def _live(self, scene: Scene, plan: list[tuple[str, Moment]], watch: StoreWatch, tally: Tally) -> None:
        """Strike a life as long as it lasts. It ends well, or by a strike that it need not survive, in order."""
        life, struck = scene.life, list[str]()
        while plan and life.until(self._comes(plan[0][1], scene, watch)):
            name, _ = plan.pop(0)
            struck.append(name)
            tally.kills[name] += 1
            STRIKES[name].strike(scene)
            if not STRIKES[name].survived:
                break
        status = life.end()
        said = f"it ended with {status} after {struck or 'nothing'}, and said:\n{life.said}"
        deadly = any(not STRIKES[name].survived for name in struck)
        twice = sum(STRIKES[name].takes_workers for name in struck) > 1 and "lost 2 times" in life.said
        assert status == 0 or deadly or twice, said
        stated = {STRIKES[name].ends_with for name in struck} - {None}
        assert not stated or status in {0, *stated}, said
        assert "Traceback" not in life.said, said

    def _comes(self, moment: Moment, scene: Scene, watch: StoreWatch) -> Callable[[], bool]:
        """Whether the moment is there; what is stored is looked at meanwhile."""

        def count() -> int:
            counts = {"stored": len(watch.look()), "claimed": watch.claims}
            return counts[moment.what] if moment.what in counts else scene.life.count(moment.what)

        before = count()
        return lambda: count() >= before + moment.number

    def _plan(self, draw: random.Random) -> list[tuple[str, Moment]]:
        plan: list[tuple[str, Moment]] = []
        for name in self.strikes:
            begins = not plan or not STRIKES[plan[-1][0]].survived
            what = draw.choice([*MOMENTS] if begins else FURTHER)
            if what == "kept" and self.checkpoint_s >= CHECKPOINT_S:
                what = "epoch"  # these trainings are too short for a checkpoint at that pace
            plan.append((name, Moment(what, draw.randint(1, MOMENTS[what]))))
        return plan

    def _arguments(self) -> list[str]:
        arguments = ["run", str(self.arena.files[self.study]), "--store", self.store, "--engine", self.engine]
        return [*arguments, "--tracking-uri", self.mlflow.uri] if self.mlflow else arguments

    def _judge(self, lives: list[list[dict[str, Any]]], there: list[set[str]], watch: StoreWatch, tally: Tally) -> None:
        study = yaml.safe_load(self.arena.files[self.study].read_text())
        sweep = study["kind"] == "sweep"
        tally.objects = watch.last_look()
        check_finished_once(lives, there, sweep)
        tally.lives = len(lives)
        every, report_every = study["resources"]["checkpoint_every"], REPORT_EVERY if sweep else 1
        tally.repeated = repeated_epochs(lives, every, self.checkpoint_s, report_every)
        results, report = self.arena.undisturbed(self.study)
        found, found_report = self.arena.tables(self.study, self.store)
        assert found == results, f"the results differ:\n{_difference(results, found)}"
        differing = [name for name in report if report[name] != found_report.get(name)]
        assert not differing, f"of the report differ {differing}"
        assert found_report.keys() == report.keys()
        tally.files = 1 + len(report)
        tally.cells = study["tune_trials"] if sweep else len(study["variants"]) * len(study["seeds"])
        if (uri := self._tracked_at()) is not None:
            base = study["base"]
            epochs = {} if sweep else {"pretrain": base["pretrain"]["epochs"], "finetune": base["finetune"]["epochs"]}
            tally.shown = check_mlflow(uri, self.study, epochs)
            assert tally.shown == tally.cells + 1, f"{tally.shown} runs in MLflow, of {tally.cells} cells and a study"

    def _tracked_at(self) -> str | None:
        if self.mlflow:
            return self.mlflow.uri
        return None if "://" in self.store else f"sqlite:///{self.store}/studies/{self.study}/mlflow.db"


def _difference(expected: str, found: str) -> str:
    pairs = zip(expected.splitlines(), found.splitlines(), strict=False)
    lines = [f"- {one}\n+ {other}" for one, other in pairs if one != other]
    lengths = f"{len(expected.splitlines())} rows, found {len(found.splitlines())}"
    return "\n".join([lengths, *lines[:5]])
