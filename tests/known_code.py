"""Write down that the code as it is gives the results of a commit before it: `make numerics BASE=COMMIT`.

Golden vectors are verified, then a grid and a sweep are run by both and their results compared byte for byte.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scmmlab.config.code_digest import write_known_code

ROOT = Path(__file__).parents[1]
_SHORT = ("seeds=[0]", "base.pretrain.epochs=3", "base.finetune.epochs=3")
STUDIES = (
    ("ablations/demo.yaml", _SHORT),
    ("search_spaces/demo.yaml", ("tune_trials=4", "base.pretrain.epochs=9")),
)


def main(base: str) -> int:
    """Compare with `base`, and write."""
    golden = sorted(map(str, (ROOT / "tests/golden").glob("*.npz")))
    if _scmmlab(ROOT, "verify", *golden).returncode:
        return 1
    with tempfile.TemporaryDirectory(prefix="scmmlab-base-") as folder:
        before = Path(folder, "before")
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(before), base], cwd=ROOT, check=True)
        try:
            for study, changes in STUDIES:
                results = [_results(code, study, changes, Path(folder, code.name)) for code in (before, ROOT)]
                # a variant that the base has not yet is no other result
                variants = {line.split(",")[1] for line in results[0].splitlines()}
                there = [line for line in results[1].splitlines() if line.split(",")[1] in variants]
                if results[0].splitlines() != there or len(there) < 2:
                    print(f"{study}: the results of {base} are others; raise NUMERICS_VERSION or mend the code.")
                    return 1
                print(f"{study}: {len(there)} lines of results, the same bytes as those of {base}.")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(before)], cwd=ROOT, check=True)
    write_known_code()
    return subprocess.run([sys.executable, "-m", "scmmlab.config.code_digest"], check=False).returncode


def _results(code: Path, study: str, changes: tuple[str, ...], store: Path) -> str:
    arguments = [str(code / study), "--store", f"{store}-runs", *(part for each in changes for part in ("--set", each))]
    done = _scmmlab(code, "run", *arguments, "--engine", "local", "--tracking-uri", "none")
    if done.returncode:
        sys.exit(done.stderr)
    return _scmmlab(code, "results", *arguments).stdout


def _scmmlab(code: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scmmlab.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(code / "platform")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
