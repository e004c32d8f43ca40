from __future__ import annotations

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden" / "seed_to_deap.npz"


def test_the_golden_vectors_verify(scmmlab) -> None:
    done = scmmlab("verify", GOLDEN)
    assert done.status == 0, done.out
    assert "soft weights" in done.out


def test_one_altered_number_fails(scmmlab, tmp_path: Path) -> None:
    arrays = dict(np.load(GOLDEN, allow_pickle=False))
    arrays["reconstruction"] = arrays["reconstruction"].copy()
    arrays["reconstruction"][3, 7] += 0.1
    altered = tmp_path / "altered.npz"
    np.savez(altered, **arrays)
    done = scmmlab("verify", altered)
    assert done.status == 1
    assert [line.split()[0] for line in done.out.splitlines() if line.endswith("OVER")] == ["reconstruction"]


def test_a_file_that_is_no_golden_vector_is_refused(scmmlab, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.npz"
    wrong.write_bytes(b"not a zip file")
    done = scmmlab("verify", wrong)
    assert done.status == 2
    assert "wrong.npz" in done.err
