import json
from pathlib import Path

import numpy as np
import pytest
import torch

from scmmlab.config import OptimizerSpec
from scmmlab.methods.scmm.finetuning import classify, finetuning_gradient
from scmmlab.methods.scmm.parameters import classifier_sizes, encoder_sizes
from scmmlab.methods.scmm.shape import Shape
from scmmlab.replica.learner import Learner
from scmmlab.replica.parameters import Parameters

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(("name", "sum_gradients"), [("official", True), ("zero_grad", False)])
def test_steps_with_and_without_zeroed_gradients_are_those_of_the_released_code(name, sum_gradients):
    golden = np.load(GOLDEN / f"finetune_{name}_20_steps.npz", allow_pickle=False)
    config = json.loads(str(golden["config"]))
    x, label = (torch.from_numpy(golden[key]) for key in ("x", "y"))
    initial = {
        part: {
            key.removeprefix(prefix): torch.from_numpy(golden[key]).double()
            for key in golden.files
            if key.startswith(prefix)
        }
        for part, prefix in (("encoder", "init/"), ("classifier", "init_classifier/"))
    }
    shape = Shape(
        channels=x.shape[2],
        bands=x.shape[3],
        width=initial["encoder"]["encoder.8.weight"].shape[0],
        classifier_width=initial["classifier"]["fc.weight"].shape[0],
        classes=initial["classifier"]["classifier.weight"].shape[0],
    )
    parameters = {
        part: Parameters(sizes(shape), 1, "cpu", torch.float64)
        for part, sizes in (("encoder", encoder_sizes), ("classifier", classifier_sizes))
    }
    for part, own in parameters.items():
        own.load_replica(0, initial[part])
    rule = OptimizerSpec(**{name: config[name] for name in ("learning_rate", "weight_decay", "beta1", "beta2")})
    learners = [Learner(own, [rule], sum_gradients) for own in parameters.values()]
    rate = torch.tensor([rule.learning_rate], dtype=torch.float64)
    losses = []
    for batch, of_batch in zip(x.double(), label.long(), strict=True):
        found = finetuning_gradient(parameters["encoder"], parameters["classifier"], batch[None], of_batch[None])
        losses.append(found.loss_R.item())
        for learner, gradient in zip(learners, (found.encoder_Rn, found.classifier_Rn), strict=True):
            learner.step(gradient, rate)
    np.testing.assert_allclose(losses, golden["loss"], rtol=1e-9)
    logits = classify(parameters["encoder"], parameters["classifier"], x[:1].double())
    np.testing.assert_allclose(logits[0], golden["logits_eval"], rtol=1e-8)
