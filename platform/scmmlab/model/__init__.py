"""SCMM as pure tensor code with a leading replica axis: masking, encoder, both losses, classifier, optimiser."""

from scmmlab.model.collectives import SINGLE_PROCESS, Collectives, SingleProcess, TorchDistributed
from scmmlab.model.encoder import encode
from scmmlab.model.finetuning import FinetuningStep, classify, finetuning_gradient
from scmmlab.model.masking import mask_streams, masks, stream_masks
from scmmlab.model.optimizer import Adam
from scmmlab.model.parameters import Parameters, initial_classifier, initial_pretraining
from scmmlab.model.pretraining import Losses, pretraining_gradient
from scmmlab.model.random import permutation, uniform
from scmmlab.model.settings import Settings
from scmmlab.model.shape import Shape

__all__ = [
    "SINGLE_PROCESS",
    "Adam",
    "Collectives",
    "FinetuningStep",
    "Losses",
    "Parameters",
    "Settings",
    "Shape",
    "SingleProcess",
    "TorchDistributed",
    "classify",
    "encode",
    "finetuning_gradient",
    "initial_classifier",
    "initial_pretraining",
    "mask_streams",
    "masks",
    "permutation",
    "pretraining_gradient",
    "stream_masks",
    "uniform",
]
