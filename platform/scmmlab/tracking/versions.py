"""Which software a study ran on."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import scmmlab

_PACKAGES = ("torch", "numpy", "ray", "optuna", "mlflow", "pyarrow")
_GIT_TIMEOUT_S = 10


def software_versions() -> dict[str, str]:
    """Versions of scmmlab, Python and the packages that matter, and the git commit where there is one."""
    versions = {"scmmlab": scmmlab.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    commit = git_commit(Path(scmmlab.__file__).parent)
    return {**versions, "git_commit": commit} if commit else versions


def git_commit(folder: Path) -> str | None:
    """The commit that `folder` is at, with `-dirty` where files differ from it; None without git or a repository."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None
