"""A `Network` against golden vectors: outputs, gradients and a trajectory of Adam, alone or amid a pack of seven.

| symbol | meaning |
|---|---|
| R | replicas; all but the file's have parameters and windows of their own |
| B, S | windows of a batch, steps of the trajectory |
| K | classes |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scmmlab.config import OptimizerSpec
from scmmlab.errors import CorpusError
from scmmlab.methods.golden import HINT, PACK, PLACE, GoldenCheck, GoldenFile, relative_error, worst
from scmmlab.methods.network import Evaluation, Mode, Network, Training, network_gradient, network_logits
from scmmlab.replica.optimizer import Adam
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.random import uniform

TOLERANCE = 1e-10
"""Of everything, in float64."""


@dataclass(frozen=True)
class Pass:
    """What the file's replica gives for a batch."""

    logits_BK: Tensor
    loss: Tensor
    """Without the penalty."""
    total: Tensor
    """With it."""
    gradients: Mapping[str, Tensor]
    """By the names of the parameters; in training of `total`, in evaluation of `loss`."""
    x: Tensor
    """Gradient of the input."""


class NetworkScene:
    """Where a file is computed.

    Parameters
    ----------
    file : GoldenFile
        The file.
    network : Network
        At the file's settings, without dropout.
    names : mapping
        Parameter → arrays of the file that are its rows, one below the other; of a parameter that is not named, the one
        of its own name.
    device : device
        Where.
    pack : bool
        Whether there are neighbours.
    """

    def __init__(
        self,
        file: GoldenFile,
        network: Network,
        names: Mapping[str, Sequence[str]],
        device: torch.device,
        pack: bool,
    ):
        self.file, self.network, self._names, self.device = file, network, names, device
        replicas, self.place = (PACK, PLACE) if pack else (1, 0)
        self.seed_R = torch.arange(replicas, device=device) + 20
        self.parameters = Parameters(network.sizes(), replicas, device, torch.float64)
        self.begin()

    def begin(self) -> None:
        """Set the parameters to what the file's training begins with."""
        self.network.initialise(self.parameters, self.seed_R)
        for norm in self.parameters.norms:
            self.parameters.running_mean[norm].zero_()
            self.parameters.running_var[norm].fill_(1.0)
        fresh = self.parameters.replica_state(self.place)
        counts = {name: tensor for name, tensor in fresh.items() if name.endswith("num_batches_tracked")}
        self.parameters.load_replica(self.place, self.state("init/", buffers=True) | counts)

    def state(self, prefix: str, buffers: bool = False) -> dict[str, Tensor]:
        """The file's tensors, by the names of the parameters; running statistics too if `buffers`."""
        shapes = dict(self.parameters.sizes)
        if buffers:
            for norm in self.parameters.norms:
                shapes[f"{norm}.running_mean"] = shapes[f"{norm}.running_var"] = shapes[f"{norm}.weight"]
        found = {}
        for name, shape in shapes.items():
            parts = [self.file.tensor(f"{prefix}{part}") for part in self._names.get(name, (name,))]
            found[name] = torch.cat(parts)
            if tuple(found[name].shape) != shape:
                raise CorpusError(
                    f"'{prefix}{name}' of {self.file.path} must have shape {shape} by the file's settings, found "
                    f"{tuple(found[name].shape)}.",
                    HINT,
                )
        return found

    def rows(self) -> Tensor:
        """Rows of each step, int64 [S, B]."""
        steps, batch = int(self.file.setting("steps")), int(self.file.setting("batch"))
        return self.file.tensor("batch_index", (steps, batch), integer=True)

    def labels(self, rows_B: Tensor, count: int, classes: int) -> Tensor:
        """Classes of these rows of the file's `count`, [R, B]; the neighbours' are others."""
        y = self.file.tensor("y", (count,), integer=True)
        if not len(y) or y.min() < 0 or y.max() >= classes:
            raise CorpusError(f"Labels 'y' of {self.file.path} must lie in 0 … {classes - 1}.", HINT)
        label_RB = y[rows_B].to(self.device).repeat(len(self.seed_R), 1)
        others = (label_RB + 1) % classes
        return torch.where((torch.arange(len(self.seed_R)) == self.place).to(self.device)[:, None], label_RB, others)

    def windows(self, own: Tensor, step: int = 0) -> Tensor:
        """The file's windows of a batch in its place, random ones in the others."""
        own = own.to(self.device, torch.float64)
        drawn = uniform(self.seed_R, "verification", 0, step, own.numel()).to(own.dtype).view(-1, *own.shape)
        drawn[self.place] = own
        return drawn

    def by_name(self) -> dict[str, Tensor]:
        """The learned tensors of all replicas."""
        return {name: self.parameters[name] for name in self.parameters.names}

    def evaluate(self, x: Tensor, label_RB: Tensor) -> Pass:
        """A pass in evaluation mode."""
        return self._pass(x, label_RB, Evaluation(self.parameters))

    def train(self, x: Tensor, label_RB: Tensor) -> Pass:
        """A pass in training mode; the parameters' gradients are those of the step that packs train with."""
        real_RB = torch.ones_like(label_RB, dtype=torch.bool)
        found = self._pass(x, label_RB, Training(self.parameters.part(""), real_RB, None))
        self.step(x, label_RB)
        gradients = {name: gradient[self.place].clone() for name, gradient in self.parameters.gradients.items()}
        return Pass(found.logits_BK, found.loss, found.total, gradients, found.x)

    def step(self, x: Tensor, label_RB: Tensor) -> Tensor:
        """Loss with penalty of the file's replica; the gradient is in the parameters."""
        real_RB = torch.ones_like(label_RB, dtype=torch.bool)
        loss_R = network_gradient(self.network, self.parameters, x, label_RB, real_RB).loss_R
        return self._total(loss_R)[self.place]

    def _total(self, loss_R: Tensor) -> Tensor:
        # of a copy, since the gradient of the penalty is in the parameters already
        penalty_R = self.network.penalise(self.parameters.part(""))
        return loss_R if penalty_R is None else loss_R + penalty_R

    def _pass(self, x: Tensor, label_RB: Tensor, mode: Mode) -> Pass:
        leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in self.by_name().items()}
        x = x.clone().requires_grad_()
        logits_RBK = self.network.logits(leaves, x, mode)
        loss_R = self.network.loss(logits_RBK, label_RB, torch.ones_like(label_RB, dtype=torch.bool))
        *found, of_x = torch.autograd.grad(loss_R.sum(), [*leaves.values(), x], materialize_grads=True)
        gradients = {name: gradient[self.place] for name, gradient in zip(leaves, found, strict=True)}
        loss_R, own = loss_R.detach(), self.place
        return Pass(logits_RBK[own].detach(), loss_R[own], self._total(loss_R)[own], gradients, of_x[own])

    def trajectory(self, batches: Callable[[int], tuple[Tensor, Tensor]]) -> Tensor:
        """Losses [S] of Adam from the beginning; `batches` gives windows and labels of each step."""
        self.begin()
        config = self.file.setting("optimizer")
        if (config.get("name"), config.get("eps")) != ("Adam", 1e-8):
            raise CorpusError(f"The trajectory of {self.file.path} must be Adam's with eps 1e-8, found {config}.", HINT)
        spec = OptimizerSpec(
            learning_rate=float(self.file.setting("learning_rate")),
            beta1=config["betas"][0],
            beta2=config["betas"][1],
            weight_decay=config["weight_decay"],
        )
        adam = Adam(self.parameters.values, [spec] * len(self.seed_R))
        rate_R = torch.full((len(self.seed_R),), spec.learning_rate, device=self.device, dtype=torch.float64)
        losses = []
        for step in range(int(self.file.setting("steps"))):
            losses.append(self.step(*batches(step)))
            adam.step(self.parameters.values, self.parameters.gradient, rate_R)
        return torch.stack(losses)

    def logits(self, x: Tensor) -> Tensor:
        """Logits [B, K] of the file's replica as packs predict them."""
        return network_logits(self.network, self.parameters, x)[self.place]

    def compared(self, quantity: str, ours: Tensor, name: str, tolerance: float = TOLERANCE) -> GoldenCheck:
        """One array of the file against ours."""
        golden = self.file.tensor(name, tuple(ours.shape))
        return GoldenCheck(quantity, relative_error(ours, golden), tolerance)

    def compared_state(
        self, quantity: str, ours: Mapping[str, Tensor], prefix: str, tolerance: float = TOLERANCE
    ) -> GoldenCheck:
        """Tensors by the names of the parameters against the file's; running statistics too where ours have them."""
        golden = self.state(prefix, buffers=any(name.endswith("running_mean") for name in ours))
        return worst(quantity, {name: relative_error(ours[name], golden[name]) for name in golden}, tolerance)
