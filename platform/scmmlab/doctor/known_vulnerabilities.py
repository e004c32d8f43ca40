"""Versions of packages with known vulnerabilities."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

from scmmlab.doctor.check_result import CheckResult, bad, ok

FLOORS = {
    "ray": ("2.52", "CVE-2023-48022, CVE-2025-62593: a web page may run code through the dashboard"),
    "mlflow": ("3.16.1", "CVE-2026-2635: the server can be taken over"),
    "torch": ("2.6", "CVE-2025-32434: torch.load runs code even with weights_only=True"),
}
"""Package → the first version without known vulnerabilities, and those of the versions before."""


def check_versions() -> Iterator[CheckResult]:
    """A finding for each package that had a vulnerability once."""
    for package, (floor, known) in FLOORS.items():
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            yield bad(package, "not installed", "make setup")
            continue
        if older(version, floor):
            fix = f"pip install -c constraints.txt '{package}>={floor}'"
            yield bad(f"{package} {version}", f"it is older than {floor} ({known})", fix)
        else:
            yield ok(f"{package} {version}", "no known vulnerability")


def older(version: str, floor: str) -> bool:
    """Whether `version` comes before `floor`; release candidates and builds count as their release."""
    return _numbers(version) < _numbers(floor)


def _numbers(version: str) -> list[int]:
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(number) for number in release[0].split(".")] if release else []
    while numbers and not numbers[-1]:  # 2.52.0 is 2.52
        numbers.pop()
    return numbers
