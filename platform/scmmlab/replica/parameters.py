"""The parameters of a pack: flat buffers with a named view for each tensor.

Legend: R replica, n all learned numbers of one, O all batch-norm features of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from copy import copy
from itertools import accumulate

import torch
from torch import Tensor

from scmmlab.errors import TrainingError
from scmmlab.replica.random import uniform

Sizes = dict[str, tuple[int, ...]]
"""Name → shape of one replica's tensor, in the order of the flat buffer. Names are those of PyTorch's modules: of a
layer `a.b`, ``a.b.weight`` and ``a.b.bias``. A layer whose weight has one dimension is a batch norm."""


def norm_sizes(name: str, features: int) -> Sizes:
    """Learned tensors of a batch norm."""
    return {f"{name}.weight": (features,), f"{name}.bias": (features,)}


def linear_sizes(name: str, inputs: int, outputs: int) -> Sizes:
    """Learned tensors of a linear layer."""
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm_features(sizes: Sizes) -> dict[str, int]:
    """Batch norm → its features."""
    return {
        name.removesuffix(".weight"): size[0]
        for name, size in sizes.items()
        if name.endswith(".weight") and len(size) == 1
    }


def _stored(size: tuple[int, ...]) -> tuple[int, ...]:
    """How a tensor lies in the flat buffer: kernels tap-major."""
    return (size[0], size[2], size[1]) if len(size) == 3 else size


def _by_name(stored: Tensor) -> Tensor:
    """A tensor [R, …] as stored ↔ in PyTorch's layout; the same exchange both ways."""
    return stored.transpose(2, 3) if stored.ndim == 4 else stored


def _keep_freed_memory() -> None:
    """Let the C library keep the memory that a step frees, as the next step wants the same again.

    glibc hands blocks back to the system above a size that it learns from what is freed, up to 32 MiB; one such block
    teaches it. Without, a pre-training step of one replica meets a thousand page faults, a tenth of its time.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


class Parameters:
    """Learned numbers and batch-norm buffers of R replicas.

    ``parameters["encoder.0.weight"]`` is a view [R, out, in, 8] of `values`: a change of `values` in place is seen
    through it. In `values` kernels lie tap-major, (out, 8, in), which is how the encoder reads them; by name they have
    PyTorch's layout. The gradient of a step is written beside them, laid out alike.

    Parameters
    ----------
    sizes : dict
        Name → shape of one replica's tensor.
    replicas : int
        R.
    device, dtype
        Of the numbers, which start as zeros.
    """

    def __init__(self, sizes: Sizes, replicas: int, device: torch.device | str, dtype: torch.dtype):
        if torch.device(device).type == "cpu":
            _keep_freed_memory()
        self.sizes = dict(sizes)
        self._features = _norm_features(sizes)
        numbers, features = sum(math.prod(size) for size in sizes.values()), sum(self._features.values())
        self._hold(
            torch.zeros(replicas, numbers, device=device, dtype=dtype),
            torch.zeros(replicas, numbers, device=device, dtype=dtype),
            torch.zeros(replicas, features, device=device, dtype=dtype),
            torch.ones(replicas, features, device=device, dtype=dtype),
            torch.zeros(replicas, len(self._features), device=device, dtype=torch.int64),
        )

    def _hold(self, values_Rn: Tensor, gradient_Rn: Tensor, mean_RO: Tensor, var_RO: Tensor, tracked: Tensor) -> None:
        """Take these buffers, and name their parts."""
        self.values = values_Rn
        """[R, n], in the order of `names`."""
        self._views = self.named(values_Rn)
        self.gradient = gradient_Rn
        """[R, n], of the last step; the next one overwrites it."""
        self.gradients = self.named(gradient_Rn)
        """Name → view of `gradient`."""
        self._running = mean_RO, var_RO, tracked
        ends = list(accumulate(self._features.values()))
        starts = [0, *ends][: len(ends)]
        self._spans = dict(zip(self._features, zip(starts, ends, strict=True), strict=True))
        self.running_mean = {norm: mean_RO[:, a:b] for norm, (a, b) in self._spans.items()}
        """Batch norm → running mean [R, features]."""
        self.running_var = {norm: var_RO[:, a:b] for norm, (a, b) in self._spans.items()}
        """Batch norm → running variance [R, features]."""
        self.batches_tracked = dict(zip(self._features, tracked.unbind(1), strict=True))
        """Batch norm → batches seen [R]."""
        self._parts: dict[int, list[Parameters]] = {}

    @property
    def norms(self) -> tuple[str, ...]:
        """Batch norms, in the order of the running statistics."""
        return tuple(self._features)

    def running(self, first: str, last: str) -> tuple[Tensor, Tensor, Tensor]:
        """Running means, variances and counts of the batch norms from `first` to `last`, one block of columns each."""
        mean_RO, var_RO, tracked = self._running
        span = slice(self._spans[first][0], self._spans[last][1])
        norms = slice(self.norms.index(first), self.norms.index(last) + 1)
        return mean_RO[:, span], var_RO[:, span], tracked[:, norms]

    def parts(self, size: int) -> list[Parameters]:
        """The same parameters in parts of `size` replicas: views of these buffers."""
        if self.replicas <= size:
            return [self]
        if size not in self._parts:
            running = zip(*(tensor.split(size) for tensor in self._running), strict=True)
            parts = []
            buffers = zip(self.values.split(size), self.gradient.split(size), running, strict=True)
            for values, gradient, statistics in buffers:
                part = copy(self)
                part._hold(values, gradient, *statistics)
                parts.append(part)
            self._parts[size] = parts
        return self._parts[size]

    @property
    def replicas(self) -> int:
        """R."""
        return self.values.shape[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the learned tensors, in the order of `values`."""
        return tuple(self._views)

    def __getitem__(self, name: str) -> Tensor:
        return self._views[name]

    def named(self, flat_Rn: Tensor) -> dict[str, Tensor]:
        """Views of a tensor laid out as `values` (a gradient, a moment), by name and in PyTorch's layouts."""
        views, start = {}, 0
        for name, size in self.sizes.items():
            end = start + math.prod(size)
            views[name] = _by_name(flat_Rn[:, start:end].view(-1, *_stored(size)))
            start = end
        return views

    def zero_gradients(self, prefix: str) -> None:
        """Set the gradients of the tensors whose names begin with `prefix` to 0."""
        for name, gradient in self.gradients.items():
            if name.startswith(prefix):
                gradient.zero_()

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from self._views.items()
        for norm in self.norms:
            yield f"{norm}.running_mean", self.running_mean[norm]
            yield f"{norm}.running_var", self.running_var[norm]
            yield f"{norm}.num_batches_tracked", self.batches_tracked[norm]

    def replica_state(self, replica: int) -> dict[str, Tensor]:
        """Clones of one replica's tensors, learned ones and batch-norm buffers, by name."""
        return {name: tensor[replica].clone() for name, tensor in self._tensors()}

    def load_replica(self, replica: int, state: Mapping[str, Tensor]) -> None:
        """Overwrite one replica with `state`, which may hold more than what is needed (a projector, for instance).

        Raises
        ------
        TrainingError
            If a tensor is missing or has another shape.
        """
        for name, tensor in self._tensors():
            if name not in state:
                raise TrainingError(f"The state to load must hold {name!r}, found {sorted(state)}.")
            if tuple(state[name].shape) != tuple(tensor[replica].shape):
                raise TrainingError(
                    f"{name!r} of the state to load must have shape {tuple(tensor[replica].shape)}, "
                    f"found {tuple(state[name].shape)}."
                )
            tensor[replica] = state[name].to(tensor)

    def part(self, prefix: str) -> Parameters:
        """A copy of the tensors whose names begin with `prefix` (``"encoder."``: what fine-tuning goes on with)."""
        sizes = {name: size for name, size in self.sizes.items() if name.startswith(prefix)}
        part = Parameters(sizes, self.replicas, self.values.device, self.values.dtype)
        mine = dict(self._tensors())
        for name, tensor in part._tensors():
            tensor.copy_(mine[name])
        return part


def initialise(parameters: Parameters, seed_R: Tensor) -> Parameters:
    """Set layers to what PyTorch begins with, each replica by its seed alone; what belongs to no layer stays as it is.

    Weights and biases are uniform within ± 1/√(inputs), those of batch norms 1 and 0.
    """
    for name, size in parameters.sizes.items():
        view = parameters[name]
        layer, _, kind = name.rpartition(".")
        if layer in parameters.norms:
            view.fill_(1.0 if kind == "weight" else 0.0)
        elif kind in ("weight", "bias"):
            bound = 1 / math.sqrt(math.prod(parameters.sizes[f"{layer}.weight"][1:]))
            drawn = uniform(seed_R, f"initial {name}", 0, 0, math.prod(size))
            view.copy_(drawn.to(view.dtype).mul_(2).sub_(1).mul_(bound).view(-1, *size))
    return parameters
