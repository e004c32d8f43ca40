"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from scmmlab.doctor.check_result import CheckResult, warn
from scmmlab.doctor.disks import check_folders, check_leftovers, check_room, check_shared_memory, check_sockets
from scmmlab.doctor.known_vulnerabilities import check_versions
from scmmlab.doctor.machine import check_resources, table_bytes, this_machine
from scmmlab.doctor.mlflow_server import check_server
from scmmlab.doctor.open_ports import check_ports
from scmmlab.doctor.privacy import check_recordings, check_store, check_tables
from scmmlab.doctor.ray_token import check_token
from scmmlab.doctor.sockets import listeners
from scmmlab.execution.ray.token import asks_for_token
from scmmlab.study import Plan


@dataclass(frozen=True)
class Subject:
    """What is examined beside the machine itself."""

    environment: Mapping[str, str]
    """Environment variables."""
    plan: Plan | None
    """Of the study; None where none was named."""
    store: Path | None
    """Folder of the result store; None where it is not on this machine."""
    tracking_uri: str
    """Of MLflow; empty where nothing is tracked."""
    recordings: tuple[Path, ...] = ()
    """Folders of recordings."""


def examine(subject: Subject) -> Iterator[CheckResult]:
    """Run every check that applies to `subject`; one that fails to run is a finding, and the others go on."""
    tables = subject.plan.manifests if subject.plan else {}
    token = asks_for_token(subject.environment)
    checks: list[tuple[str, Callable[[], Iterable[CheckResult]]]] = [
        ("versions", check_versions),
        ("Ray's token", lambda: check_token(subject.environment)),
        ("open ports", lambda: check_ports(listeners(), token)),
        ("Ray's folder", lambda: [check_sockets(subject.environment)]),
        ("folders of killed runs", lambda: [check_leftovers()]),
        ("shared memory", lambda: [check_shared_memory(table_bytes(tables))]),
    ]
    if subject.tracking_uri.startswith(("http://", "https://")):
        checks.append(("MLflow's server", lambda: check_server(subject.tracking_uri)))
    if subject.recordings:
        checks.append(("recordings", lambda: map(check_recordings, subject.recordings)))
    if (plan := subject.plan) is not None:
        cluster = bool(subject.environment.get("RAY_ADDRESS"))
        checks += [
            ("tables", lambda: check_tables(tables)),
            ("resources", lambda: check_resources(plan.study.resources, tables, this_machine(), cluster)),
        ]
    if (store := subject.store) is not None:
        checks += [
            ("store", lambda: [check_store(store)]),
            ("file systems", lambda: check_folders(store, subject.tracking_uri)),
            ("disk", lambda: check_room(store)),
        ]
    for name, check in checks:
        try:
            yield from check()
        except (OSError, psutil.Error) as error:
            yield warn(name, f"it could not be checked ({error})", "fix that, and run doctor again")
