"""A plan: a study expanded into resolved cells and the stages they share, all of it checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from scmmlab.config import (
    AblationSpec,
    ExperimentSpec,
    SweepSpec,
    TransferSpec,
    fingerprint,
    resolve_transfer,
    resolve_variant,
)
from scmmlab.config.code_digest import KEYS_VERSION
from scmmlab.config.experiment import TrainedStage
from scmmlab.methods.contract import RunsOn
from scmmlab.methods.registry import method_of
from scmmlab.study.cells import Cell
from scmmlab.study.checks import check_experiment, check_transfer
from scmmlab.study.keys import cell_key, pretrain_key, sweep_key
from scmmlab.tables import Manifest


@dataclass(frozen=True)
class Plan:
    """What a study will run.

    The cells of a sweep are sampled as it goes: `cells` is empty, and `sampled` makes them.
    """

    study: AblationSpec | SweepSpec
    """The study."""
    cells: tuple[Cell, ...]
    """In the order of variants, transfers and seeds."""
    manifests: Mapping[str, Manifest]
    """Of the tables that take part, by location."""
    channels: Mapping[str, tuple[str, ...]]
    """Channels that the model sees, by name of the transfer."""

    @cached_property
    def distinct(self) -> dict[str, Cell]:
        """Cells by key, the first of each: what is run."""
        distinct: dict[str, Cell] = {}
        for cell in self.cells:
            distinct.setdefault(cell.key, cell)
        return distinct

    @cached_property
    def pretraining(self) -> dict[str, tuple[Cell, ...]]:
        """Pre-train stages by key, each with the distinct cells that start from it."""
        stages: dict[str, tuple[Cell, ...]] = {}
        for cell in self.distinct.values():
            if cell.pretrain_key is not None:
                stages[cell.pretrain_key] = (*stages.get(cell.pretrain_key, ()), cell)
        return stages

    @property
    def saved(self) -> tuple[int, int]:
        """Pre-trainings and fine-tunings that sharing saves, against one of each a cell."""
        pretrained = sum(cell.pretrain_key is not None for cell in self.cells)
        return pretrained - len(self.pretraining), len(self.cells) - len(self.distinct)

    def stages_by_place(self, done: Collection[str] = ()) -> dict[RunsOn, Counter[TrainedStage]]:
        """Where methods compute → how many stages of each kind are to be run there; only places that have any.

        Parameters
        ----------
        done : collection of str
            Keys of finished stages, of cells and of pre-training.
        """
        todo = [cell for cell in self.distinct.values() if cell.key not in done]
        pretraining = {cell.pretrain_key: cell for cell in todo if cell.pretrain_key and cell.pretrain_key not in done}
        kinds: dict[TrainedStage, Collection[Cell]] = {"pretrain": pretraining.values(), "finetune": todo}
        stages: dict[RunsOn, Counter[TrainedStage]] = {}
        for kind, cells in kinds.items():
            for cell in cells:
                stages.setdefault(method_of(cell.experiment).runs_on, Counter())[kind] += 1
        return stages

    def source(self, transfer: TransferSpec) -> Manifest:
        """Manifest of the source's table."""
        return self.manifests[transfer.source.table]

    def target(self, transfer: TransferSpec) -> Manifest:
        """Manifest of the target's table."""
        return self.manifests[transfer.target.table]

    def cell(self, variant: str, transfer: TransferSpec, seed: int, experiment: ExperimentSpec) -> Cell:
        """The cell of `experiment` on a transfer of the study."""
        source, target, channels = self.source(transfer), self.target(transfer), self.channels[transfer.name]
        check_experiment(f"variant '{variant}'", experiment, transfer, source, target)
        return Cell(
            variant=variant,
            transfer=transfer,
            seed=seed,
            experiment=experiment,
            channels=channels,
            key=cell_key(experiment, transfer, source, target, channels, seed),
            pretrain_key=pretrain_key(experiment, transfer, source, channels, seed),
        )

    def sampled(self, name: str, changes: Mapping[str, Any]) -> Cell:
        """A setting of a sweep, as a cell whose key is that of the sweep stage.

        Parameters
        ----------
        name : str
            Of the tune_trial.
        changes : mapping
            Dotted path → value.

        Raises
        ------
        SpecError
            If the values do not go together.
        """
        study = self.study
        assert isinstance(study, SweepSpec), "only a sweep samples"
        (transfer,), (seed,) = study.transfers, study.seeds
        source, target, channels = self.source(transfer), self.target(transfer), self.channels[transfer.name]
        experiment = resolve_variant(study.base, changes)
        check_experiment(f"setting '{name}'", experiment, transfer, source, target)
        return Cell(
            variant=name,
            transfer=transfer,
            seed=seed,
            experiment=experiment,
            channels=channels,
            key=sweep_key(experiment, transfer, source, target, channels, seed, study.report_every),
            pretrain_key=pretrain_key(experiment, transfer, source, channels, seed),
        )

    @property
    def key(self) -> str:
        """Identity of what is planned: of the cells, or of the search and its data. Resources are no part of it."""
        if isinstance(self.study, AblationSpec):
            return fingerprint({"cells": [[cell.name, cell.key] for cell in self.cells]})
        search = self.study.model_dump(mode="json", exclude={"resources", "description", "transfers"})
        base = self.sampled("base", {})
        return fingerprint({"search": search, "base": base.key})

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values, for `plan.json` in the study's folder."""
        return {
            "study": self.study.name,
            "kind": self.study.kind,
            "keys": KEYS_VERSION,
            "key": self.key,
            **self._workers(),
            "cells": [
                {
                    "variant": cell.variant,
                    "transfer": cell.transfer.name,
                    "seed": cell.seed,
                    "key": cell.key,
                    "pretrain_key": cell.pretrain_key,
                }
                for cell in self.cells
            ],
        }

    def _workers(self) -> dict[str, Any]:
        """How many stages are for GPU workers and how many for CPU workers, where the study asks for GPUs."""
        if not self.study.resources.gpus_per_worker or not self.cells:
            return {}
        stages = self.stages_by_place()
        kinds = get_args(TrainedStage)
        names: dict[str, RunsOn] = {"gpu": "any", "cpu": "cpu"}
        counts = {name: stages.get(place, Counter()) for name, place in names.items()}
        return {"workers": {name: {kind: count[kind] for kind in kinds} for name, count in counts.items()}}


def make_plan(study: AblationSpec | SweepSpec, manifest_of: Callable[[str], Manifest]) -> Plan:
    """Expand a study, and check what can be checked before anything starts.

    Parameters
    ----------
    study : AblationSpec or SweepSpec
        The study, as `config.load_study` gives it.
    manifest_of : callable
        Location of a feature table → its manifest (`tables.read_manifest`).

    Raises
    ------
    CorpusError
        If a table cannot be read, or source and target cannot be mixed.
    SpecError
        If a selection names what its table lacks, a subject is on both sides of a transfer, or a variant cannot be run
        on a transfer.
    """
    locations = {side.table: None for transfer in study.transfers for side in (transfer.source, transfer.target)}
    manifests = {location: manifest_of(location) for location in locations}
    channels = {
        transfer.name: check_transfer(transfer, manifests[transfer.source.table], manifests[transfer.target.table])
        for transfer in study.transfers
    }
    plan = Plan(study, (), manifests, channels)
    if isinstance(study, SweepSpec):
        plan.sampled("base", {})  # its checks, for the base
        return plan
    cells = tuple(
        plan.cell(name, transfer, seed, experiment)
        for name, variant in study.variants.items()
        for transfer, experiment in (
            (transfer, resolve_transfer(study.base, transfer, variant.set)) for transfer in study.transfers
        )
        for seed in study.seeds
    )
    return Plan(study, cells, manifests, channels)
