"""A machine's numerics against golden vectors: one check a quantity, each with its error and its tolerance.

Errors are those of `methods.golden`; losses are compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from scmmlab.config import OptimizerSpec
from scmmlab.methods.golden import PACK, PLACE, GoldenCheck, nan_greatest, relative_error, worst
from scmmlab.methods.scmm.encoder import encode, encode_columns
from scmmlab.methods.scmm.finetuning import classify, finetuning_gradient
from scmmlab.methods.scmm.golden import Golden, read_golden
from scmmlab.methods.scmm.masking import masks
from scmmlab.methods.scmm.pack_settings import PackSettings
from scmmlab.methods.scmm.pair_softmax import pair_softmax
from scmmlab.methods.scmm.parameters import initial_classifier, initial_pretraining
from scmmlab.methods.scmm.pretraining import batch_rows, contrast_weights, pretraining_gradient
from scmmlab.methods.scmm.projector import project
from scmmlab.methods.scmm.reconstruction import decode
from scmmlab.methods.scmm.soft_weights import soft_weights
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.optimizer import Adam
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.random import uniform

FORWARD = {torch.float32: 1e-5, torch.float64: 1e-9}
"""Tolerance of forward values and losses."""
GRADIENT = {torch.float32: 1e-4, torch.float64: 1e-9}
"""Tolerance of gradients."""
NOISE = "projector.0.bias"
"""A batch norm follows it, so its true gradient is zero and Adam moves it on rounding noise: it is not compared."""


def verify_file(
    path: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None, pack: bool = False
) -> list[GoldenCheck]:
    """Compute what a file of golden vectors holds, and compare.

    Parameters
    ----------
    path : str or Path
        The .npz file.
    device : device or str
        Where to compute.
    dtype : dtype or None
        Of the arithmetic; the file's own when None. A float32 run of a trajectory drifts by rounding, so trajectories
        are compared in float64 alone.
    pack : bool
        Whether the file's replica sits in the middle of a pack of seven, among replicas of other settings, seeds and
        inputs.

    Raises
    ------
    CorpusError
        If the file cannot be read, or lacks something.
    """
    golden = read_golden(path)
    scene = _Scene(golden, torch.device(device), dtype or golden.dtype, pack)
    return _verify_finetuning(scene) if golden.kind == "finetune" else _verify_pretraining(scene)


class _Scene:
    """Where a file is computed: alone, or in a pack whose other replicas differ in all that may differ."""

    def __init__(self, golden: Golden, device: torch.device, dtype: torch.dtype, pack: bool):
        self.golden, self.device, self.dtype = golden, device, dtype
        self.replicas, self.place = (PACK, PLACE) if pack else (1, 0)
        neighbours = _neighbours(golden.experiment) if pack else []
        self.experiments = [*neighbours[: self.place], golden.experiment, *neighbours[self.place :]]
        self.seed_R = torch.arange(self.replicas, device=device) + 20
        overwrite = [pack and r % 2 == 1 and r != self.place for r in range(self.replicas)]
        self.settings = PackSettings.stack(self.experiments, overwrite, device, dtype)

    def forward_tolerance(self) -> float:
        return FORWARD[self.dtype]

    def inputs(self, name: str, step: int) -> Tensor:
        """The file's `name` at `step` in its place, uniform random numbers in the others."""
        own = self.golden.tensor(name)[step].to(self.device, self.dtype)
        drawn = uniform(self.seed_R, f"verification {name}", 0, step, own.numel())
        drawn = drawn.to(self.dtype).view(-1, *own.shape)
        drawn[self.place] = own
        return drawn

    def labels(self, step: int) -> Tensor:
        """The file's labels at `step` in its place, random ones in the others."""
        own = self.golden.tensor("y")[step].to(self.device)
        drawn = uniform(self.seed_R, "verification labels", 0, step, len(own)) * self.golden.shape.classes
        labels = drawn.to(torch.int64)
        labels[self.place] = own
        return labels

    def keep(self, step: int) -> Tensor:
        """What copies keep at `step`, drawn by the neighbours' settings in their places."""
        own = self.golden.tensor("keep")[step].to(self.device, torch.bool)
        shape = self.golden.shape
        drawn = masks(self.settings, self.seed_R, 0, step, own.shape[0] // shape.views, shape.channels, shape.bands)
        keep = own.expand(self.replicas, *own.shape).clone() if drawn is None else drawn.clone()
        keep[self.place] = own
        return keep

    def pretraining(self) -> Parameters:
        """Initial parameters: the file's, and the neighbours' own."""
        parameters = initial_pretraining(self.golden.shape, self.seed_R, self.device, self.dtype)
        parameters.load_replica(self.place, self.golden.state("init/"))
        return parameters

    def adam(self, parameters: Parameters, specs: Iterable[OptimizerSpec]) -> Callable[[Tensor], None]:
        """A function that takes one step along a gradient."""
        specs = list(specs)
        adam = Adam(parameters.values, specs)
        rate_R = torch.tensor([s.learning_rate for s in specs], device=self.device, dtype=self.dtype)
        return lambda gradient: adam.step(parameters.values, gradient, rate_R)


def _neighbours(own: ScmmSpec) -> list[ScmmSpec]:
    """Six experiments that differ from `own`, and from each other, in switches, distances, temperatures and rates."""
    changes: list[dict[str, dict[str, object]]] = [
        {"masking": {"mode": "channel", "ratio": 0.2}, "contrast": {"weights": "hard", "temperature": 0.9}},
        {"contrast": {"enabled": False}, "aggregator": {"top_k": 3}, "masking": {"mode": "random", "ratio": 0.7}},
        {"contrast": {"distance": "manhattan", "upper_bound": 0.9}, "aggregator": {"enabled": False}},
        {"contrast": {"distance": "euclidean", "soft_weight_temperature": 0.3}, "loss": {"weighting": "fixed"}},
        {"contrast": {"distance": "cosine", "temperature": 0.07}, "reconstruction": {"enabled": False}},
        {"masking": {"mode": "none"}, "aggregator": {"top_k": 1}, "contrast": {"soft_weight_temperature": 1.0}},
    ]
    base = own.model_dump()
    experiments = []
    for number, change in enumerate(changes, start=1):
        changed = {name: {**base[name], **change.get(name, {})} for name in base if isinstance(base[name], dict)}
        optimizer = {**base["pretrain"]["optimizer"], "learning_rate": 1e-4 * number, "weight_decay": 1e-3 / number}
        for stage in ("pretrain", "finetune"):
            changed[stage] = {**base[stage], "optimizer": optimizer}
        experiments.append(ScmmSpec.model_validate({**base, **changed}))
    return experiments


def _largest_of_numbers(ours: Tensor, golden: Tensor) -> float:
    """The largest relative error of single numbers."""
    return max((relative_error(a, b) for a, b in zip(ours, golden, strict=True)), key=nan_greatest)


def _fresh_norms(golden: Golden) -> GoldenCheck:
    """Running statistics that some outputs do not depend on must be what the batches counted say: none, so 0 and 1."""
    state = golden.state("init/")
    counts = {name: int(count) for name, count in state.items() if name.endswith("num_batches_tracked")}
    errors = {name: float(abs(count - min(counts.values()))) for name, count in counts.items()}
    for name in counts:
        if counts[name] == 0:
            for kind, fresh in (("running_mean", 0.0), ("running_var", 1.0)):
                buffer = name.replace("num_batches_tracked", kind)
                errors[buffer] = float((state[buffer].double() - fresh).abs().max())
    return GoldenCheck("initial batch-norm buffers", max(errors.values(), key=nan_greatest), 0.0)


def _verify_pretraining(scene: _Scene) -> list[GoldenCheck]:
    golden, place, tolerance = scene.golden, scene.place, scene.forward_tolerance()
    outputs = _first_step(scene)
    labels = {
        "soft_weights": "soft weights",
        "similarity": "similarity",
        "aggregation_weights": "aggregation weights",
        "aggregated": "aggregated embeddings",
        "reconstruction": "reconstruction",
        "h_train": "embeddings, training",
        "h_eval": "embeddings, evaluation",
        "z_train": "projections",
    }
    checks = [
        GoldenCheck(label, relative_error(outputs[name][place], golden.tensor(name)), tolerance)
        for name, label in labels.items()
    ]

    parameters = scene.pretraining()
    steps = golden.steps if scene.dtype == torch.float64 else min(golden.steps, 1)
    adam = scene.adam(parameters, (e.pretrain.optimizer for e in scene.experiments))
    losses: list[Tensor] = []
    for step in range(max(steps, 1)):
        found, gradient = pretraining_gradient(parameters, scene.inputs("x", step), scene.keep(step), scene.settings)
        if step == 0:
            first = {name: view[place].clone() for name, view in parameters.named(gradient).items()}
        losses.append(torch.stack(found)[:, place])
        if golden.steps:
            adam(gradient)
    names = ("loss", "loss_contrastive", "loss_reconstruction")
    for name, label, ours in zip(
        names, ("total", "contrastive", "reconstruction"), torch.stack(losses, 1), strict=True
    ):
        over = f", {len(ours)} steps" if len(ours) > 1 else ""
        error = _largest_of_numbers(ours, golden.tensor(name)[: len(ours)])
        checks.append(GoldenCheck(f"{label} loss{over}", error, tolerance))

    errors = {name: relative_error(first[name], golden.tensor(f"grad/{name}")) for name in first if name != NOISE}
    # what has no gradient must be small beside the gradient of the weights whose product it is added to
    scale = float(golden.tensor("grad/projector.0.weight").norm())
    errors[NOISE] = (
        float(torch.maximum(first[NOISE].double().norm().cpu(), golden.tensor(f"grad/{NOISE}").norm())) / scale
    )
    checks.append(worst("gradients", errors, GRADIENT[scene.dtype]))
    if golden.steps and scene.dtype == torch.float64:
        checks += _trajectory(golden, parameters.replica_state(place), tolerance)
    return [*checks, _fresh_norms(golden)]


def _first_step(scene: _Scene) -> dict[str, Tensor]:
    """Everything that a file holds of the first step, of all replicas."""
    settings, parameters = scene.settings, scene.pretraining()
    rows_RNCF = batch_rows(scene.inputs("x", 0), scene.keep(0), settings)
    x_RNF = rows_RNCF.flatten(2)
    h_eval = encode(parameters, rows_RNCF, False)
    h = encode_columns(parameters, rows_RNCF, True)
    z = project(parameters, h).z_RDN
    weights = contrast_weights(x_RNF, rows_RNCF.shape[1] // (settings.views + 1), settings)
    scaled = z / settings.temperature_R[:, None, None]
    p = pair_softmax(scaled, z, weights, settings.top_k).kept_RNJ
    return {
        "h_eval": h_eval,
        "h_train": h.transpose(1, 2),
        "z_train": z.transpose(1, 2),
        "soft_weights": soft_weights(x_RNF, settings),
        "similarity": z.transpose(1, 2) @ z,
        "aggregation_weights": p,
        "aggregated": p @ h.transpose(1, 2),
        "reconstruction": p @ decode(parameters, h),
    }


def _trajectory(golden: Golden, ours: Mapping[str, Tensor], tolerance: float) -> list[GoldenCheck]:
    """Parameters and buffers after the last step."""
    final, initial = golden.state("final/"), golden.state("init/")
    errors = {
        name: float(abs(int(final[name]) - int(tensor)))
        if name.endswith("num_batches_tracked")
        else relative_error(tensor, final[name])
        for name, tensor in ours.items()
        if name != NOISE
    }
    # an Adam step is hardly longer than the step size
    way = golden.steps * golden.experiment.pretrain.optimizer.learning_rate
    moved = float((final[NOISE].double() - initial[NOISE].double()).abs().max()) / way
    return [
        worst("final state", errors, tolerance),
        GoldenCheck(f"{NOISE}, way in step sizes", moved, 2.0),
    ]


def _verify_finetuning(scene: _Scene) -> list[GoldenCheck]:
    golden, place = scene.golden, scene.place
    classifier = initial_classifier(golden.shape, scene.seed_R, scene.device, scene.dtype)
    classifier.load_replica(place, golden.state("init_classifier/"))
    encoder = initial_pretraining(golden.shape, scene.seed_R, scene.device, scene.dtype).part("encoder.")
    encoder.load_replica(place, golden.state("init/"))
    specs = [e.finetune.optimizer for e in scene.experiments]
    learners = [(parameters, scene.adam(parameters, specs)) for parameters in (encoder, classifier)]
    sums: Sequence[Tensor] | None = None
    losses = []
    steps = golden.steps if scene.dtype == torch.float64 else 1
    for step in range(steps):
        loss_R, _, *found = finetuning_gradient(encoder, classifier, scene.inputs("x", step), scene.labels(step))
        losses.append(loss_R[place])
        if not golden.zero_grad:
            found = (
                [own.clone() for own in found] if sums is None else [a + b for a, b in zip(sums, found, strict=True)]
            )
        sums = found
        for (_, adam), gradient in zip(learners, found, strict=True):
            adam(gradient)
    tolerance = scene.forward_tolerance()
    error = _largest_of_numbers(torch.stack(losses), golden.tensor("loss")[:steps])
    checks = [GoldenCheck(f"fine-tuning loss, {steps} steps", error, tolerance)]
    if scene.dtype == torch.float64:
        logits = classify(encoder, classifier, scene.inputs("x", 0))[place]
        checks.append(
            GoldenCheck("logits, evaluation", relative_error(logits, golden.tensor("logits_eval")), tolerance)
        )
    return [*checks, _fresh_norms(golden)]
