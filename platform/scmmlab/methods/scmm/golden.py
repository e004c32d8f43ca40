"""Golden vectors: outputs of the released SCMM code on small inputs, read from .npz and checked for completeness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from scmmlab.config.experiment import TrainedStage
from scmmlab.errors import CorpusError
from scmmlab.methods.golden import HINT, check_array, read_file
from scmmlab.methods.scmm.parameters import NORMS, classifier_sizes, encoder_sizes, pretraining_sizes
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.spec import ScmmSpec

OUTPUTS = (
    "h_train",
    "h_eval",
    "z_train",
    "soft_weights",
    "similarity",
    "aggregation_weights",
    "aggregated",
    "reconstruction",
)
"""What a file of pre-training holds of its first step, beside losses and gradients."""


@dataclass(frozen=True)
class Golden:
    """One file."""

    path: Path
    kind: TrainedStage
    dtype: torch.dtype
    """Of the released code's arithmetic."""
    shape: Shape
    experiment: ScmmSpec
    """The settings that took part."""
    zero_grad: bool
    """Fine-tuning: whether gradients were zeroed between steps."""
    steps: int
    """Optimiser steps that the file holds; 0 where it holds one step's outputs alone."""
    arrays: Mapping[str, NDArray[Any]]

    def state(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `prefix`, without it."""
        return {
            name.removeprefix(prefix): torch.as_tensor(array)
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }

    def tensor(self, name: str) -> Tensor:
        """One array, numbers as float64."""
        array = torch.as_tensor(self.arrays[name])
        return array.double() if array.is_floating_point() else array


def read_golden(path: str | Path) -> Golden:
    """Read a file of golden vectors, and see that all that is needed is there.

    Raises
    ------
    CorpusError
        If it cannot be read, or if a key is missing or has another shape or type than the settings ask for.
    """
    file = read_file(path)
    path, arrays, config = file.path, file.arrays, file.config
    kind: TrainedStage = "finetune" if any(n.startswith("init_classifier/") for n in arrays) else "pretrain"
    steps = int(config["steps"])
    try:
        shape = Shape(
            channels=int(config["in_channels"]),
            bands=int(config["fea_length"]),
            width=int(config["encoder_out_dim"]),
            classifier_width=_length(arrays, "init_classifier/fc.bias"),
            classes=_length(arrays, "init_classifier/classifier.bias"),
            views=int(config["mask_num"]),
        )
        golden = Golden(
            path=path,
            kind=kind,
            dtype=_dtype(config["dtype"]),
            shape=shape,
            experiment=_experiment(config),
            zero_grad=bool(config["zero_grad"]) if kind == "finetune" else True,
            steps=steps,
            arrays=arrays,
        )
        expected = _expected(golden, int(config["batch"]))
    except KeyError as error:
        raise CorpusError(
            f"The settings of {path} must hold {error.args[0]!r}, found {sorted(config)}.", HINT
        ) from None
    except (TypeError, ValueError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise CorpusError(f"The settings of {path} cannot be used: {reason}.", HINT) from None
    for name, (size, integer) in expected.items():
        check_array(path, arrays, name, size, integer)
    if kind == "finetune":
        labels = arrays["y"]
        if labels.min() < 0 or labels.max() >= shape.classes:
            raise CorpusError(
                f"Labels 'y' of {path} must lie in 0 … {shape.classes - 1}, found {labels.min()} … {labels.max()}.",
                HINT,
            )
    return golden


def _dtype(name: object) -> torch.dtype:
    if name not in ("float32", "float64"):
        raise ValueError(f"'dtype' must be 'float32' or 'float64', got {name!r}")
    return torch.float32 if name == "float32" else torch.float64


def _length(arrays: Mapping[str, NDArray[Any]], name: str) -> int:
    """Length of a vector, or 1 where a file has no classifier (or one that will be refused)."""
    return max(1, len(arrays[name])) if name in arrays and arrays[name].ndim == 1 else 1


def _experiment(config: Mapping[str, Any]) -> ScmmSpec:
    optimizer = {
        "learning_rate": config["learning_rate"],
        "beta1": config["beta1"],
        "beta2": config["beta2"],
        "weight_decay": config["weight_decay"],
        "schedule": "constant",
    }
    return ScmmSpec.model_validate(
        {
            "network": {"width": config["encoder_out_dim"]},
            "masking": {
                "mode": str(config["mask_mode"]).removesuffix("_mask"),
                "ratio": config["mask_ratio"],
                "threshold": config["threshold"],
                "views": config["mask_num"],
            },
            "contrast": {
                "distance": config["dist_metric"],
                "upper_bound": config["upper_bound"],
                # the released code's name for it
                "soft_weight_temperature": config["sharpness"],
                "temperature": config["temperature"],
            },
            "pretrain": {"optimizer": optimizer},
            "finetune": {"optimizer": optimizer},
        }
    )


def _expected(golden: Golden, batch: int) -> dict[str, tuple[tuple[int, ...], bool]]:
    """Name → shape, and whether it holds whole numbers or bits, of every array that is compared or computed with."""
    shape = golden.shape
    batches = max(golden.steps, 1)
    window = shape.channels, shape.bands
    learned = encoder_sizes(shape) if golden.kind == "finetune" else pretraining_sizes(shape)
    buffers: dict[str, tuple[tuple[int, ...], bool]] = {}
    for norm in NORMS:
        if f"{norm}.weight" in learned:
            size = learned[f"{norm}.weight"]
            buffers[f"{norm}.running_mean"] = buffers[f"{norm}.running_var"] = size, False
            buffers[f"{norm}.num_batches_tracked"] = (), True
    state = {name: (size, False) for name, size in learned.items()} | buffers
    expected = {"x": ((batches, batch, *window), False), "loss": ((batches,), False)}
    expected |= {f"init/{name}": kind for name, kind in state.items()}
    if golden.kind == "finetune":
        expected |= {f"init_classifier/{name}": (size, False) for name, size in classifier_sizes(shape).items()}
        expected |= {"y": ((batches, batch), True), "logits_eval": ((batch, shape.classes), False)}
        return expected
    rows, numbers = batch * (shape.views + 1), shape.channels * shape.bands
    widths = (shape.embedding, shape.embedding, shape.width, rows, rows, rows, shape.embedding, numbers)
    expected |= {name: ((rows, width), False) for name, width in zip(OUTPUTS, widths, strict=True)}
    expected |= dict.fromkeys(("loss_contrastive", "loss_reconstruction"), ((batches,), False))
    expected |= {f"grad/{name}": (size, False) for name, size in learned.items()}
    expected["keep"] = (batches, batch * shape.views, *window), True
    if golden.steps:
        expected |= {f"final/{name}": kind for name, kind in state.items()}
    return expected
