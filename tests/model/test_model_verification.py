"""Golden vectors: what passes, and that one wrong number does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scmmlab.errors import CorpusError
from scmmlab.methods.golden import GoldenCheck, relative_error
from scmmlab.methods.scmm.verification import verify_file
from scmmlab.replica import replicas

FOLDER = Path(__file__).parent.parent / "golden"
FILES = sorted(FOLDER.glob("*.npz"))


def test_all_ten_files_are_here() -> None:
    assert len(FILES) == 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_vectors_alone(path: Path) -> None:
    failed = [check for check in verify_file(path) if not check.ok]
    assert not failed


@pytest.mark.parametrize("together", [1, 99])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_vectors_amid_a_pack_of_seven(path: Path, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "CPU_PRETRAINING", together)
    failed = [check for check in verify_file(path, pack=True) if not check.ok]
    assert not failed


@pytest.mark.parametrize("name", ["seed_iv_to_seed", "two_views", "euclidean_channel_mask"])
def test_float32_files_hold_in_float64_too(name: str) -> None:
    # their tolerance is that of the arithmetic that made them, so they are not held to 1e-9
    checks = verify_file(FOLDER / f"{name}.npz", dtype=torch.float64)
    assert all(check.error < 1e-4 for check in checks)


def altered(path: Path, folder: Path, name: str, change: Any) -> Path:
    """A copy of a file, one number of one array changed."""
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    array = arrays[name].copy()
    place = tuple(size // 3 for size in array.shape)
    array[place] = change(array[place])
    copy = folder / path.name
    np.savez(copy, **(arrays | {name: array}))
    return copy


PRETRAINING = [
    "x",
    "keep",
    "soft_weights",
    "similarity",
    "aggregation_weights",
    "aggregated",
    "reconstruction",
    "h_train",
    "h_eval",
    "z_train",
    "loss",
    "loss_contrastive",
    "loss_reconstruction",
    "init/encoder.0.weight",
    "init/encoder.5.bias",
    "init/encoder.9.running_var",
    "init/encoder.1.num_batches_tracked",
    "init/projector.1.running_mean",
    "init/projector.3.weight",
    "init/awl.params",
    "init/decoder.bias",
    "grad/encoder.0.weight",
    "grad/encoder.9.bias",
    "grad/projector.0.bias",
    "grad/decoder.weight",
    "grad/awl.params",
]
TRAJECTORY = [
    "final/encoder.4.weight",
    "final/encoder.5.running_mean",
    "final/encoder.9.num_batches_tracked",
    "final/projector.0.bias",
    "final/projector.1.running_var",
    "final/awl.params",
]
FINETUNING = [
    "x",
    "y",
    "loss",
    "logits_eval",
    "init/encoder.8.weight",
    "init/encoder.5.running_mean",
    "init_classifier/fc.bias",
    "init_classifier/classifier.weight",
]


@pytest.mark.parametrize(
    ("file", "name"),
    [("seed_to_deap", name) for name in PRETRAINING]
    + [("trajectory_20_steps", name) for name in TRAJECTORY]
    + [("finetune_official_20_steps", name) for name in FINETUNING],
)
def test_one_altered_number_is_found(file: str, name: str, tmp_path: Path) -> None:
    def change(value: Any) -> Any:
        if value.dtype == bool:
            return ~value
        if name == "y":
            return (value + 1) % 3
        # by about its own size; what is only known to be noise, and a zero, by 1
        return value + type(value)(1 if value == 0 or name.endswith("projector.0.bias") else value)

    assert not all(check.ok for check in verify_file(altered(FOLDER / f"{file}.npz", tmp_path, name, change)))


def test_a_change_in_the_ninth_digit_is_found(tmp_path: Path) -> None:
    path = altered(FOLDER / "trajectory_20_steps.npz", tmp_path, "loss", lambda value: value * (1 + 3e-9))
    failed = [check.quantity for check in verify_file(path) if not check.ok]
    assert failed == ["total loss, 20 steps"]


@pytest.mark.parametrize("name", ["soft_weights", "x", "grad/decoder.weight", "loss", "init/awl.params"])
def test_a_number_that_is_none_fails(name: str, tmp_path: Path) -> None:
    path = altered(FOLDER / "seed_to_deap.npz", tmp_path, name, lambda _: np.nan)
    assert not all(check.ok for check in verify_file(path))


def rewritten(folder: Path, **changes: Any) -> Path:
    """A file with arrays replaced, or left out where None."""
    with np.load(FOLDER / "seed_to_deap.npz") as file:
        arrays = {key: file[key] for key in file.files} | changes
    path = folder / "changed.npz"
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})
    return path


def config(**changes: Any) -> np.ndarray:
    with np.load(FOLDER / "seed_to_deap.npz") as file:
        settings = json.loads(str(file["config"])) | changes
    return np.array(json.dumps({key: value for key, value in settings.items() if value is not None}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"soft_weights": None}, r"changed\.npz must hold 'soft_weights', but it is missing"),
        ({"grad/encoder.8.weight": None}, r"must hold 'grad/encoder\.8\.weight'"),
        ({"config": None}, r"must hold its settings under 'config'"),
        ({"config": np.array("{")}, r"must be JSON"),
        ({"config": np.array("[]")}, r"must be a JSON object"),
        ({"config": config(sharpness=None)}, r"must hold 'sharpness'"),
        ({"config": config(dist_metric="chebyshev")}, r"cannot be used: .*'cosine', 'euclidean' or 'manhattan'"),
        ({"config": config(dtype="float16")}, r"cannot be used: 'dtype' must be 'float32' or 'float64', got 'float16'"),
        (
            {"x": np.zeros((1, 16, 31, 5), np.float32)},
            r"'x' .* must have shape \(1, 16, 32, 5\), found \(1, 16, 31, 5\)",
        ),
        ({"keep": np.ones((1, 16, 32, 5))}, r"'keep' .* must hold whole numbers or bits, found float64"),
        ({"z_train": np.zeros((32, 32), np.int64)}, r"'z_train' .* floating-point numbers, found int64"),
    ],
)
def test_a_file_that_lacks_something_is_refused_in_a_sentence(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match=message):
        verify_file(rewritten(tmp_path, **changes))


def test_labels_outside_the_classes_are_refused(tmp_path: Path) -> None:
    path = altered(FOLDER / "finetune_zero_grad_20_steps.npz", tmp_path, "y", lambda _: 3)
    with pytest.raises(CorpusError, match=r"'y' .* must lie in 0 … 2, found 0 … 3"):
        verify_file(path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut short"])
def test_a_file_that_cannot_be_read_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"broken\.npz must be a \.npz file"):
        verify_file(path)
    with pytest.raises(CorpusError, match="no file"):
        verify_file(tmp_path / "absent.npz")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.npz"
    path.write_bytes(FILES[0].read_bytes()[:20_000])
    with pytest.raises(CorpusError):
        verify_file(path)


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    path = rewritten(tmp_path, x=np.array([{}], dtype=object))
    with pytest.raises(CorpusError, match=r"must be a \.npz file"):
        verify_file(path)


def test_nan_is_never_within_tolerance() -> None:
    assert not GoldenCheck("q", float("nan"), 1.0).ok
    assert not GoldenCheck("q", float("inf"), 1.0).ok
    assert GoldenCheck("q", 1.0, 1.0).ok


def test_relative_error_sees_one_number_among_thousands() -> None:
    golden = torch.ones(10_000, dtype=torch.float64)
    ours = golden.clone()
    ours[5] += 1e-3
    # by norms alone it would be 1e-5
    assert relative_error(ours, golden) == pytest.approx(1e-4)
    assert relative_error(golden * (1 + 1e-6), golden) == pytest.approx(1e-6)
    assert relative_error(golden * 0, golden * 0) == 0
    assert relative_error(golden, golden * 0) == float("inf")
