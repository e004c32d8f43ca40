"""A study on three hosts, each with its own address, processes and /tmp: submitted from outside, through what befalls
hosts, to the results that one process gets.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from comparing import csv, local_engine, run
from hosts import REPOSITORY, Host, Network, why_no_hosts

from processes import process_of
from scmmlab.config import ResourcesSpec
from scmmlab.config.loading import load_study
from scmmlab.study import Plan, ResultStore, make_plan, study_status
from scmmlab.tables import read_manifest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

RAY = Path(sys.executable).with_name("ray")
TOKEN = secrets.token_hex(32)
DASHBOARD, GCS = 8265, 6379
CHANGES = {
    "base.pretrain.epochs": "8",
    "base.finetune.epochs": "2",
    "seeds": "[0, 1]",
    "resources.workers": "2",
    "resources.pack_size": "1",
    "resources.max_failures": "10",
}
"""Of the demo: small tasks, so that there is always something that is lost with a host, and something left to do."""
SOON = {
    # a host that does not answer is given up sooner than by default, but not because it is busy
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "4",
}
WATCH = """
import sys, time, ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
before = None
while True:
    alive = sum(node["Alive"] for node in ray.nodes())
    if alive != before:
        print(alive, flush=True)
    before = alive
    time.sleep(0.5)
"""


def environment(token: str = TOKEN) -> dict[str, str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_"))}
    return outside | SOON | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "OMP_NUM_THREADS": "1"}


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not come to pass: {what}"
        time.sleep(1.0)


@dataclass
class Lab:
    """A head with the servers, which computes nothing, and two hosts with a CPU each."""

    head: Host
    workers: list[Host]
    services: dict[str, str]
    dashboard: str = ""
    """Its address on this machine, by a tunnel."""
    rays: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    hosts_alive: int = 0
    """How many hosts the head knows to be there."""

    def start_ray(self, host: Host) -> None:
        """What a host does when it is switched on."""
        where = ["--address", f"{self.head.address}:{GCS}", "--num-cpus=1"]
        if host is self.head:
            where = [
                *("--head", f"--port={GCS}", "--num-cpus=0"),
                *("--dashboard-host=127.0.0.1", f"--dashboard-port={DASHBOARD}"),
            ]
        self.rays[host.name] = host.popen(
            *(RAY, "start", "--block", f"--node-ip-address={host.address}", *where),
            *(f"--object-store-memory={200 * 2**20}", "--disable-usage-stats"),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def watch(self) -> None:
        """Have a program on the head say how many hosts are there, whenever it changes."""
        program = self.head.popen(
            *(sys.executable, "-c", WATCH, f"{self.head.address}:{GCS}"),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

        def read() -> None:
            assert program.stdout is not None
            for line in program.stdout:
                if line.strip().isdigit():  # Ray has things to say there too
                    self.hosts_alive = int(line)

        threading.Thread(target=read, daemon=True).start()

    def job(self, *arguments: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
        """Ray's jobs from outside, through the tunnel."""
        first, *rest = arguments
        return subprocess.run(
            [RAY, "job", first, "--address", self.dashboard, *rest],
            cwd=REPOSITORY,
            env=environment(token),
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Three hosts that know each other."""
    if reason := why_no_hosts():
        pytest.skip(f"no hosts can be made on this machine: {reason}")
    with Network() as network:
        head, *workers = [network.host(name) for name in ("head", "one", "two")]
        services = head.popen(
            *(sys.executable, "tests/integration/services.py", head.address),
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(str(REPOSITORY / path) for path in ("tests", "tests/tracking"))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        made = Lab(head, workers, {})
        made.start_ray(head)
        with head.forwarded(DASHBOARD) as port:
            made.dashboard = f"http://127.0.0.1:{port}"
            wait_for("the head answers", lambda: made.job("list").returncode == 0)
            made.watch()
            for worker in workers:
                made.start_ray(worker)
            assert services.stdout is not None
            made.services = json.loads(services.stdout.readline())
            wait_for("all hosts have joined", lambda: made.hosts_alive == 3)
            yield made


@cache
def plan() -> Plan:
    return make_plan(
        load_study("ablations/demo.yaml", [f"{path}={value}" for path, value in CHANGES.items()]).study, read_manifest
    )


def test_study_on_three_hosts_survives_them_and_comes_to_the_results_of_one_process(lab, tmp_path):
    store = ResultStore(lab.services["store"])

    refused = lab.job("list", token=secrets.token_hex(32))
    assert refused.returncode != 0
    assert "token" in (refused.stdout + refused.stderr).lower()

    changes = [option for path, value in CHANGES.items() for option in ("--set", f"{path}={value}")]
    where = ["--store", lab.services["store"], "--tracking-uri", lab.services["mlflow"]]
    command = [sys.executable, "-m", "scmmlab.cli.main", "run", "ablations/demo.yaml", *changes, *where]
    submitted = lab.job("submit", "--submission-id", "demo", "--no-wait", "--working-dir", ".", "--", *command)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr

    one, two = lab.workers
    wait_for("both hosts train", lambda: all("RayTrainWorker" in host.processes() for host in lab.workers))

    wait_for("an encoder is there", lambda: store.keys("pretrain"))
    two.cut_off()
    wait_for("a host that does not answer is given up", lambda: lab.hosts_alive == 2)
    driver = process_of("run", lab.services["store"])
    assert driver is not None
    driver.suspend()  # until the host is back: the other one may be done with everything before
    known = len(store.keys("pretrain"))
    two.reconnect()
    # Ray does not take back whom it has given up: its processes there end, and are started again
    wait_for("who was given up ends", lambda: lab.rays["two"].poll() is not None)
    lab.start_ray(two)
    wait_for("it is back", lambda: lab.hosts_alive == 3)
    driver.resume()

    wait_for("the study has gone on", lambda: len(store.keys("pretrain")) > known and store.keys("cells"))
    assert not study_status(plan(), store).complete, "the host is killed too late to show anything"
    one.kill()
    wait_for("the dead host is given up", lambda: lab.hosts_alive == 2)
    one.switch_on()
    lab.start_ray(one)

    wait_for("all cells are there", lambda: len(store.keys("cells")) == len(plan().distinct), 900)
    wait_for(
        "the job ends", lambda: "RUNNING" not in (status := lab.job("status", "demo")).stdout and not status.returncode
    )
    said = lab.job("logs", "demo").stdout
    assert "'demo' succeeded" in lab.job("status", "demo").stdout, said
    assert re.search(r"Machine \S+ was lost: \d of 2 workers left; ", said)
    assert "Resources became free: " in said
    assert study_status(plan(), store).complete

    alone, in_packs = ResultStore(tmp_path / "alone"), plan().study.model_copy(update={"resources": ResourcesSpec()})
    packed = make_plan(in_packs, read_manifest)  # which is sooner done, and the same
    run(packed, alone, local_engine(packed))
    assert csv(plan(), store) == csv(plan(), alone)
    assert finished_runs(lab.services["mlflow"]) == len(plan().cells)


def finished_runs(uri: str) -> int:
    """Cells that MLflow shows as finished; a cell that it shows twice counts twice."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("demo")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`scmmlab.role` = 'cell'", max_results=1000)
    return sum(run.info.status == "FINISHED" for run in runs)
