"""What computed a study: versions of the packages that matter, and the commit of the working directory."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from scmmlab import __version__
from scmmlab.config.code_digest import KEYS_VERSION, NUMERICS_VERSION, installed_code

COMMIT_VARIABLE = "SCMMLAB_COMMIT"
"""Environment variable that tells a job the commit of the working directory that it was submitted from."""

_PACKAGES = ("torch", "numpy", "scipy", "pyarrow", "ray", "optuna", "mlflow", "mne")


def versions(folder: Path | None = None) -> dict[str, str]:
    """Versions by name, in the order in which they are shown.

    Parameters
    ----------
    folder : Path | None
        Whose commit is told; the current one when None.
    """
    found = {"scmmlab": __version__, "numerics": NUMERICS_VERSION, "keys": str(KEYS_VERSION)}
    code = installed_code("cells")
    if not code.known:
        found["code"] = code.digest
    found["python"] = platform.python_version()
    for package in _PACKAGES:
        found[package] = metadata.version(package)
    # a job's copy of a working directory comes without its history
    found["commit"] = git_commit(folder) or os.environ.get(COMMIT_VARIABLE) or "not in a git repository"
    return found


def git_commit(folder: Path | None = None) -> str | None:
    """The commit that `folder` is at, with `+changes` where files differ from it; None where there is no git."""
    try:
        commit = _git("rev-parse", "HEAD", folder=folder)
        changed = _git("status", "--porcelain", "--untracked-files=no", folder=folder)
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changed else commit


def _git(*arguments: str, folder: Path | None) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True, timeout=20)
    return done.stdout.decode(errors="replace").strip()
