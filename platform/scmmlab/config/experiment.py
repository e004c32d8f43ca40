"""What one cell does: the method that is trained, how features are scaled, and how it is judged.

A method adds its own settings to these; `method` says which it is, and `scmm` stands where it is absent.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeGuard, TypeVar

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from scmmlab.config.base import Spec
from scmmlab.config.plugins import DEFAULT_METHOD, find_method, method_names
from scmmlab.config.protocol import HonestProtocol, ProtocolSpec
from scmmlab.errors import MovedSettingWarning

ScalingKind = Literal["min_max", "standard", "none"]
Precision = Literal["float32", "bf16"]
TrainedStage = Literal["pretrain", "finetune"]

Self = TypeVar("Self", bound="ExperimentSpec")


class OptimizerSpec(Spec):
    """Adam with L2 regularisation in its gradient."""

    learning_rate: float = Field(5e-4, gt=0, le=1)
    """Step size at the start."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of the mean of gradients."""
    beta2: float = Field(0.99, ge=0, lt=1)
    """Decay of the mean of squared gradients."""
    weight_decay: float = Field(3e-4, ge=0)
    """L2 coefficient, added to the gradient."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """`cosine`: half a cosine from the step size to 0 over the epochs, changed once an epoch."""


class ExperimentSpec(Spec):
    """Everything that decides one cell's numbers, but its data and its seed: what all methods share.

    It is read as the spec of the method that it names, so an instance is always one of a method's own class.
    """

    FORMER_PATHS: ClassVar[Mapping[str, str]] = {}
    """Dotted path that a setting had → the one that it has; read as if the new one stood there, and said."""

    method: str
    """What is trained; `scmmlab methods` lists what there is."""
    scaling: ScalingKind = "min_max"
    """How each feature is scaled, by numbers fitted only on what the protocol lets be seen."""
    protocol: ProtocolSpec = HonestProtocol()
    """Who may see what, and which epoch is judged."""

    @model_validator(mode="wrap")
    @classmethod
    def _read_as_its_method(
        cls: type[Self], data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        if not isinstance(data, Mapping):
            return handler(data)
        chosen = cls.narrowed(data)
        if chosen is not cls:
            # JSON comes from the check that takes no text for a number; validators see plain values of it
            if info.mode == "json":
                return chosen.model_validate_json(json.dumps(data), strict=True)  # type: ignore[return-value]
            return chosen.model_validate(data)  # type: ignore[return-value]
        present = chosen.with_present_paths(data)
        experiment = handler(_with_defaults_of_groups(cls, present))
        _unset_defaults_of_groups(experiment, present)
        return experiment

    @classmethod
    def narrowed(cls, data: object) -> type[ExperimentSpec]:
        """The class of the method that `data` names.

        Raises
        ------
        ValidationError
            If there is no such method.
        """
        if cls is not ExperimentSpec:
            return cls
        name = data.get("method", DEFAULT_METHOD) if isinstance(data, Mapping) else DEFAULT_METHOD
        found = find_method(name) if isinstance(name, str) else None
        if found is None:
            names = method_names()
            error = PydanticCustomError(
                "unknown_method", "Input should be one of {listed}", {"listed": ", ".join(names), "allowed": names}
            )
            details = InitErrorDetails(type=error, loc=("method",), input=name)
            raise ValidationError.from_exception_data(cls.__name__, [details])
        spec: type[ExperimentSpec] = found.spec
        return spec

    @classmethod
    def with_present_paths(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """`data`, nested, with settings that have moved at their new places; each is said by a warning.

        Raises
        ------
        ValidationError
            If a setting stands at both places.
        """
        moved = {name: dict(value) if isinstance(value, Mapping) else value for name, value in data.items()}
        for old, new in cls.FORMER_PATHS.items():
            group, _, name = old.partition(".")
            if not isinstance(moved.get(group), dict) or name not in moved[group]:
                continue
            value = moved[group].pop(name)
            place = moved
            *way, last = new.split(".")
            for key in way:
                inner = place.get(key)
                place[key] = dict(inner) if isinstance(inner, Mapping) else {}
                place = place[key]
            if last in place:
                twice = ValueError(f"it is changed twice, here and as '{old}'")
                details = InitErrorDetails(type="value_error", loc=(*way, last), input=value, ctx={"error": twice})
                raise ValidationError.from_exception_data(cls.__name__, [details])
            place[last] = cls.present_value(old, value)
            tell_of_move(old, new)
        return moved

    @classmethod
    def present_value(cls, old: str, value: Any) -> Any:
        """What the value of a former path is at its new one."""
        return value

    @property
    def budget(self) -> str | None:
        """Dotted path of what a sweep's rungs count; None where settings are judged once, at their end."""
        found = find_method(self.method)
        assert found is not None, f"{self.method} was read as what it is"
        return found.budget

    @property
    def uses_unlabelled(self) -> bool:
        """Whether these settings use unlabelled windows of the target, of a method that `sees` them; where they do not,
        none are granted.
        """
        return True

    @property
    def pretrains(self) -> bool:
        """Whether there is a pre-train stage, without labels."""
        return False

    def epochs(self, stage: TrainedStage) -> int:
        """Epochs of a stage; a method that is fitted at once has one."""
        return 1

    @property
    def test_batch_size(self) -> int | None:
        """Windows of a batch, where the protocol asks for the mean of batches' accuracies; all at once when None."""
        return None

    @property
    def pretrain_batch(self) -> int:
        """Windows of a pre-training step, of which there must be one at least."""
        return 1

    def pretrain_windows(self, there: int) -> int:
        """How many of the source's windows, from the first, are pre-trained on."""
        return there

    def contradictions(self) -> list[tuple[str, str]]:
        """Settings that are each allowed and together leave nothing to do: dotted path, and what is wrong."""
        return []

    def unfit(self, channels: tuple[str, ...], classes: tuple[str, ...]) -> str | None:
        """Why it cannot be trained on these channels, or for these classes; None where it can."""
        return None

    def unshared(self) -> str | None:
        """Why several workers cannot share its pre-training batches; None where they can."""
        return None

    def resolved(self: Self) -> Self:
        """The same experiment, with what a setting leaves to others written out."""
        return self

    def unadapted(self: Self) -> Self:
        """The same experiment where it is granted nothing of the target: the steps of its training alone."""
        return self

    def without_quirks(self: Self) -> Self:
        """The same experiment without what the released code does beside its protocol."""
        return self

    def quirks_in_words(self) -> list[str]:
        """What it does as the released code does, beside its protocol."""
        return []


def _with_defaults_of_groups(spec: type[Spec], data: Mapping[str, Any]) -> dict[str, Any]:
    """`data`, in which a group that is given in part has, for the rest, the defaults that it has in `spec`.

    They may be others than its own: ``{weight_decay: 0}`` as a method's optimiser keeps the method's learning rate.
    """
    filled = dict(data)
    for name, value in data.items():
        field = spec.model_fields.get(name)
        if field is None or not isinstance(value, Mapping) or not _is_spec(field.annotation):
            continue
        own = field.default.model_dump(exclude_unset=True) if isinstance(field.default, Spec) else {}
        filled[name] = _with_defaults_of_groups(field.annotation, {**own, **value})
    return filled


def _unset_defaults_of_groups(spec: Spec, data: Mapping[str, Any]) -> None:
    """What `_with_defaults_of_groups` added to `data` counts as left out of `spec`, which was made of it."""
    for name, value in data.items():
        group = getattr(spec, name, None)
        if isinstance(group, Spec) and isinstance(value, Mapping):
            group.model_fields_set.intersection_update(value)
            _unset_defaults_of_groups(group, value)


def _is_spec(annotation: Any) -> TypeGuard[type[Spec]]:
    return isinstance(annotation, type) and issubclass(annotation, Spec)


Experiment = SerializeAsAny[ExperimentSpec]
"""A field of that type is read, and written, as the spec of the method that it names."""


def default_experiment() -> ExperimentSpec:
    """SCMM at its published settings."""
    return ExperimentSpec.model_validate({})


def tell_of_move(old: str, new: str) -> None:
    """Say that a setting has a new path."""
    warnings.warn(f"'{old}' is now '{new}'; the old path still means the same.", MovedSettingWarning, stacklevel=2)
