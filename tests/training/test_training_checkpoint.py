import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scmmlab.training import checkpoint as module
from scmmlab.training.checkpoint import Checkpoint, from_bytes, to_bytes

TENSORS = {"weight": torch.arange(6.0).view(2, 3) / 7, "adam.t": torch.tensor(41), "empty": torch.zeros(0, 3)}
CHECKPOINT = Checkpoint(epoch=3, tensors=TENSORS, state={"curve": [{"epoch": 1, "loss": 0.1}], "best": None})
DATA = to_bytes(CHECKPOINT, "key", "pretrain")


def same(first: Checkpoint, second: Checkpoint) -> bool:
    return (first.epoch, first.state) == (second.epoch, second.state) and all(
        torch.equal(tensor, second.tensors[name]) and tensor.dtype == second.tensors[name].dtype
        for name, tensor in first.tensors.items()
    )


def test_what_was_saved_is_what_is_loaded():
    loaded = from_bytes(DATA, "key", "pretrain", TENSORS)
    assert loaded is not None
    assert same(loaded, CHECKPOINT)


def test_bytes_are_a_safetensors_file(tmp_path):
    from safetensors import safe_open

    (tmp_path / "checkpoint.safetensors").write_bytes(DATA)
    with safe_open(tmp_path / "checkpoint.safetensors", "pt") as file:
        assert set(file.keys()) == set(TENSORS)
        assert '"epoch": 3' in file.metadata()["scmmlab"]


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_is_taken_for_a_checkpoint_that_differs(position, bit):
    damaged = bytearray(DATA)
    damaged[position] ^= 1 << bit
    loaded = from_bytes(bytes(damaged), "key", "pretrain", TENSORS)
    # white space of the header may be another
    assert loaded is None or same(loaded, CHECKPOINT)


@settings(max_examples=50, deadline=None)
@given(length=st.integers(0, len(DATA) - 1))
def test_cut_checkpoint_is_left_alone(length):
    assert from_bytes(DATA[:length], "key", "pretrain", TENSORS) is None


@pytest.mark.parametrize(
    ("key", "stage", "expected", "reason"),
    [
        ("other", "pretrain", TENSORS, "it is of"),
        ("key", "probe", TENSORS, "it is of"),
        ("key", "pretrain", {**TENSORS, "more": torch.zeros(1)}, "not those of this training"),
        ("key", "pretrain", {**TENSORS, "weight": torch.zeros(3, 2)}, "not those of this training"),
        ("key", "pretrain", {**TENSORS, "weight": torch.zeros(2, 3).double()}, "not those of this training"),
    ],
)
def test_checkpoint_of_something_else_is_left_alone_with_its_reason(key, stage, expected, reason, caplog):
    assert from_bytes(DATA, key, stage, expected) is None
    assert reason in caplog.text


@pytest.mark.parametrize("version", ["FORMAT", "NUMERICS_VERSION"])
def test_checkpoint_of_another_version_is_left_alone(version, monkeypatch):
    monkeypatch.setattr(module, version, "another")
    assert from_bytes(DATA, "key", "pretrain", TENSORS) is None


def test_no_checkpoint_is_no_warning(caplog):
    assert from_bytes(None, "key", "pretrain", TENSORS) is None
    assert not caplog.text
