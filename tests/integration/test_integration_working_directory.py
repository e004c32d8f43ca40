"""The working directory that a job uploads, as Ray itself packs it: code goes, data, history and secrets stay."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LEFT_BEHIND = (
    *(".git/config", ".env", ".env.local", "id_ed25519", "keys/server.pem", ".netrc", ".pgpass", ".aws/credentials"),
    *(".ray/auth_token", "auth_token", "gcp-service-account.json", ".ssh/id_rsa", ".git-credentials"),
    *("data/seed/1_1.mat", "recordings/s01.bdf", "recordings/s01.edf", "x/sub-01_eeg.vhdr", "x/sub-01_eeg.eeg"),
    *("tables/deap/part-00000.parquet", "x/s01.dat", "x/features.npz", "x/old.pkl", "x/sub.set", "x/sub.fif"),
    *("runs/cells/a.json", "runs/studies/demo/mlflow.db", "elsewhere/mlflow.db", "mlruns/0/meta.yaml"),
    *("runs/pretrain/a.safetensors", ".venv/bin/python", "platform/scmmlab/__pycache__/x.pyc"),
)
TAKEN_ALONG = (
    *("pyproject.toml", "README.md", "constraints.txt", "ablations/demo.yaml", "search_spaces/scmm.yaml"),
    *("platform/scmmlab/cli/main.py", "platform/scmmlab/shipped/eegmat/manifest.json"),
    "platform/scmmlab/shipped/eegmat/part-00000.parquet",
)


@pytest.fixture
def package(tmp_path):
    """Names of what Ray packs of a checkout in which things lie about."""
    from ray._private.runtime_env import packaging

    checkout = tmp_path / "checkout"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in {*tracked.rstrip("\0").split("\0"), ".rayignore"}:
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    for name in LEFT_BEHIND:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("secret")
    packaging.create_package(
        str(checkout), tmp_path / "package.zip", include_gitignore=True, include_parent_dir=False, excludes=[]
    )
    with zipfile.ZipFile(tmp_path / "package.zip") as archive:
        return archive


def test_code_goes_and_data_history_and_secrets_stay(package):
    names = set(package.namelist())
    assert names >= set(TAKEN_ALONG)
    assert names.isdisjoint(LEFT_BEHIND)
    assert not any(name.startswith((".git/", "tests/", "runs/")) for name in names)
    assert sum(info.file_size for info in package.infolist()) < 20 * 2**20
