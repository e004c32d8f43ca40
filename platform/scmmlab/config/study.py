"""A study: an ablation grid, or a sweep over a search space."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from scmmlab.config.base import Changes, Scalar, Spec
from scmmlab.config.data import TransferSpec
from scmmlab.config.experiment import Experiment, default_experiment
from scmmlab.config.search_space import Choices, FloatRange, IntRange

StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+$", max_length=80)]


Workers = Annotated[int, Field(ge=1)]


class WorkerRange(Spec):
    """The least and the most training workers of a study."""

    min: Workers = 1
    """The study does not start with fewer. A run that has started continues with the workers that are left."""
    max: Workers | None = None
    """No more are started; when absent, as many as the cluster has room for."""

    @model_validator(mode="after")
    def _check(self) -> WorkerRange:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"min must be at most max, got min {self.min} and max {self.max}")
        return self


class ResourcesSpec(Spec):
    """What a study may use. Not part of a cell's identity: another machine never changes a result."""

    workers: Workers | WorkerRange | None = None
    """Training workers: `{min, max}`, or a number for both. When absent, one for each GPU, or for each CPU where there
    is no GPU, and at least one (`{min: 1}`). Lost workers are replaced if there is room. Where workers have GPUs, those
    without one, for methods that run on the CPU alone, are beside these, at most as many again."""
    gpus_per_worker: float | None = Field(None, ge=0)
    """GPUs of a worker; 1 where the cluster has any, else 0, when absent."""
    cpus_per_worker: float = Field(1, gt=0)
    """CPUs of a worker."""
    pack_size: int | None = Field(None, ge=1)
    """The most replicas that a worker trains together; chosen by the engine when absent."""
    workers_per_cell: int = Field(1, ge=1)
    """Workers that share the pre-training of one cell (data-parallel, losses over the global batch)."""
    max_failures: int = Field(3, ge=0)
    """How many workers may crash or run out of memory, and be replaced, before the study gives up."""
    max_preemptions: int | None = Field(None, ge=0)
    """How many workers may be preempted and machines lost (each once, however many workers it had) before the study
    gives up; any number when absent. They do not count as failures."""
    start_timeout_s: float = Field(180, gt=0)
    """Seconds that a study waits for its first workers (`workers.min`), or for a new one after losing all, before it
    gives up and names the missing resource."""
    checkpoint_every: int = Field(10, ge=1)
    """Epochs between checkpoints of a training."""

    @property
    def least_workers(self) -> int:
        """The study does not start with fewer workers."""
        asked = self.workers.min if isinstance(self.workers, WorkerRange) else self.workers or 1
        return max(asked, self.workers_per_cell)

    @property
    def most_workers(self) -> int | None:
        """No more workers are started; None for no limit."""
        asked = self.workers.max if isinstance(self.workers, WorkerRange) else self.workers
        return None if asked is None else max(asked, self.workers_per_cell)


MetricName = Literal["accuracy", "balanced_accuracy", "macro_f1", "macro_auroc", "cohen_kappa"]
"""The figures by which predictions are judged; `scmmlab.evaluation` computes them."""


class StatisticsSpec(Spec):
    """How the report compares variants."""

    metric: MetricName = "balanced_accuracy"
    """The figure that is compared."""
    reference: str = "full"
    """The variant that the others are compared to."""
    alpha: float = Field(0.05, gt=0, lt=1)
    """Level of the tests after Holm's correction, and 1 − level of the intervals."""
    bootstrap_samples: int = Field(10_000, ge=100)
    """Resamples of subjects for a confidence interval."""


class VariantSpec(Spec):
    """A named set of changes to the base."""

    description: str = ""
    """A line for the report."""
    set: Changes = Field(default_factory=dict)
    """Dotted path of the experiment → value, for example `masking.ratio: 0.7`."""


class AblationSpec(Spec):
    """A grid: variants × transfers × seeds."""

    kind: Literal["ablation"] = "ablation"
    """Kind of study."""
    name: StudyName
    """Name of the study: its folder, its MLflow experiment."""
    description: str = ""
    """What the study asks, in a sentence or two."""
    base: Experiment = Field(default_factory=default_experiment)
    """The experiment that variants change."""
    variants: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+$")], VariantSpec] = Field(min_length=1)
    """Variants by name, in the order of the tables."""
    transfers: tuple[TransferSpec, ...] = Field(min_length=1)
    """Transfers, in the order of the tables."""
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    """Seeds of the initial weights, batches and masks."""
    statistics: StatisticsSpec = StatisticsSpec()
    """How the report compares variants."""
    resources: ResourcesSpec = ResourcesSpec()
    """What the study may use."""

    @model_validator(mode="after")
    def _check(self) -> AblationSpec:
        names = [transfer.name for transfer in self.transfers]
        if len(set(names)) != len(names):
            raise ValueError(f"transfers must have distinct names, got {names}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must be distinct, got {list(self.seeds)}")
        if self.statistics.reference not in self.variants:
            raise ValueError(
                f"statistics.reference must be one of the variants {sorted(self.variants)}, "
                f"got {self.statistics.reference!r}"
            )
        return self


class AshaSpec(Spec):
    """Successive halving by rungs (ASHA): who is stopped early."""

    grace_epochs: int = Field(5, ge=1)
    """No tune_trial is stopped earlier."""
    reduction_factor: int = Field(3, ge=2)
    """One in this many continues at each rung."""


class SweepSpec(Spec):
    """A search for the setting with the best validation probe."""

    kind: Literal["sweep"] = "sweep"
    """Kind of study."""
    name: StudyName
    """Name of the study: its folder, its MLflow experiment."""
    description: str = ""
    """What the study asks, in a sentence or two."""
    base: Experiment = Field(default_factory=default_experiment)
    """The experiment that the search varies."""
    space: dict[str, IntRange | FloatRange | Choices] = Field(min_length=1)
    """Dotted path of the experiment → what it may be."""
    transfers: tuple[TransferSpec, ...] = Field(min_length=1, max_length=1)
    """The transfer that the search is for."""
    seeds: tuple[int, ...] = Field((0,), min_length=1, max_length=1)
    """Seed of the initial weights, batches and masks, and of the sampler."""
    objectives: tuple[Literal["probe", "epochs"], ...] = ("probe",)
    """`[probe]`: maximize the validation probe; `[probe, epochs]`: maximize the probe and minimize its epochs."""
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    """Optuna's sampler."""
    population: int = Field(16, ge=2)
    """`nsga2`: completed settings in a generation."""
    tune_trials: int = Field(32, ge=1)
    """How many settings are tried."""
    concurrency: int = Field(4, ge=1)
    """How many settings are tried at a time. Another number samples others, since the sampler sees those that have
    ended; settings that were tried stay."""
    report_every: int = Field(5, ge=1)
    """Epochs between two probes, from which ASHA's rungs are taken."""
    asha: AshaSpec | None = AshaSpec()
    """Early stopping; none when null."""
    synchronous: bool = True
    """Whether settings are sampled and stopped in an order that does not depend on timing, so that every run of the
    sweep gives the same bytes. False: in the order in which probes arrive, which suits workers of unequal speed."""
    points: tuple[dict[str, Scalar], ...] = ()
    """Settings tried first."""
    resources: ResourcesSpec = ResourcesSpec()
    """What the study may use."""

    @property
    def repeatable(self) -> bool:
        """Whether two runs give the same results, whatever their timing."""
        return self.synchronous or not self.order_matters

    @property
    def order_matters(self) -> bool:
        """Whether anything that is sampled or stopped depends on what was tried before it."""
        return self.sampler != "random" or self.asha is not None

    @field_validator("objectives")
    @classmethod
    def _check_objectives(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        if objectives not in (("probe",), ("probe", "epochs")):
            raise ValueError(f"must be [probe] or [probe, epochs], got [{', '.join(objectives)}]")
        return objectives


StudySpec = Annotated[AblationSpec | SweepSpec, Field(discriminator="kind")]
