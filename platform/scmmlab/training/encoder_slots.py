"""Slots: encoders train along one replica axis, enter when a slot is free, and leave when they end or are stopped.

What happens to one is nothing to the others: an encoder's numbers are those that it has alone, whoever trains beside
it, comes, goes or diverges (docs/numerics.md says how exactly).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from scmmlab.config import ExperimentSpec
from scmmlab.errors import TrainingError
from scmmlab.methods.contract import Pack, PretrainData, PretrainRun
from scmmlab.methods.pretraining_view import pretraining_view
from scmmlab.methods.registry import method_of, trainer_of
from scmmlab.replica.collectives import SINGLE_PROCESS, Collectives
from scmmlab.replica.shortage import drop_frames, out_of_memory
from scmmlab.replica.windows import Windows
from scmmlab.training.checkpoint import from_bytes, save_if_memory_allows
from scmmlab.training.failure_cause import describe, failure_cause
from scmmlab.training.memory import MemoryLimit, too_large_alone
from scmmlab.training.reporter import Reporter
from scmmlab.training.requests import StageFailure, StageKind

_KINDS: dict[str, StageKind] = {"pretrain": "pretrain", "probe": "sweep"}

Figures = Callable[[PretrainRun, Callable[[], dict[str, Tensor]]], dict[str, float] | None]
"""An encoder at the end of an epoch, and how to get its tensors → what to report, or None for nothing."""


@dataclass(frozen=True)
class TrainedEncoder:
    """An encoder whose pre-training has ended."""

    run: PretrainRun
    """With its curves."""
    state: Literal["finished", "stopped"]
    """`stopped` where the reporter ended it early."""
    tensors: dict[str, Tensor]
    """Its parameters and batch-norm buffers."""


Ended = TrainedEncoder | StageFailure


def pretrain_run(key: str, experiment: ExperimentSpec, seed: int, data: PretrainData) -> PretrainRun:
    """A pre-training that has not begun, of what pre-training sees of `experiment`.

    Raises
    ------
    TrainingError
        If the source has not one full batch.
    """
    experiment = pretraining_view(experiment)
    if data.windows < experiment.pretrain_batch:
        raise TrainingError(
            "Pre-training needs at least one full batch of windows, but 'pretrain.batch_size' is "
            f"{experiment.pretrain_batch} and the source has {data.windows}.",
            hint="lower pretrain.batch_size.",
        )
    return PretrainRun(key, experiment, seed, data)


def epoch_losses(encoder: PretrainRun, _: Callable[[], dict[str, Tensor]]) -> dict[str, float]:
    """The losses of the last epoch."""
    return _figures_of(encoder, encoder.epoch)


def _figures_of(run: PretrainRun, epoch: int) -> dict[str, float]:
    return {name: run.curve[epoch - 1][name] for name in method_of(run.experiment).names("pretrain")}


class EncoderSlots:
    """Encoders on their way, each at an epoch of its own.

    They train as one pack. Where training raises, the pack is cut in halves that go on from their checkpoints, until
    the encoder that is at fault is alone. Where memory runs out, half of the pack goes on from its checkpoints, and the
    other half waits outside until there is room.

    Parameters
    ----------
    pool : Windows
        Holds the data of all that will ever join.
    reporter : Reporter
        Is told of the epochs, may stop a replica, and keeps the checkpoints. What it raises is raised here.
    checkpoint_every : int
        Epochs between checkpoints.
    stage : {"pretrain", "probe"}
        What the reporter hears.
    figures : callable
        What is reported of an epoch.
    group : Collectives
        The workers that share each batch, all of which make these same calls.
    memory_limit : MemoryLimit | None
        How many there is memory for, as far as it is known; what is learned is put there.
    """

    def __init__(
        self,
        pool: Windows,
        reporter: Reporter,
        checkpoint_every: int,
        stage: Literal["pretrain", "probe"] = "pretrain",
        figures: Figures = epoch_losses,
        group: Collectives = SINGLE_PROCESS,
        memory_limit: MemoryLimit | None = None,
    ):
        self._pool, self._reporter, self._group = pool, reporter, group
        self._checkpoint_every, self._stage, self._figures = checkpoint_every, stage, figures
        self._packs: list[Pack] = []
        self._outside: list[PretrainRun] = []
        self._memory_limit = memory_limit or MemoryLimit()

    @property
    def used(self) -> int:
        """Encoders that are being trained, or that wait until there is room."""
        return self._inside + len(self._outside)

    @property
    def _inside(self) -> int:
        return sum(len(pack.runs) for pack in self._packs)

    def join(self, encoders: Sequence[PretrainRun]) -> list[Ended]:
        """Let encoders in; those with a checkpoint go on from it.

        Parameters
        ----------
        encoders : sequence of PretrainRun
            None of them begun. Their batches have the shape of those that are here.

        Returns
        -------
        list of TrainedEncoder or StageFailure
            Those that an earlier run had trained to the end, and those that cannot be trained.
        """
        self._outside += encoders
        return self._let_in()

    def epoch(self) -> list[Ended]:
        """Train everyone through an epoch.

        Returns
        -------
        list of TrainedEncoder or StageFailure
            Those that have left with it.
        """
        if self._reporter.preempted:
            self._save()
            self._reporter.end_preempted()
        ended = self._let_in()
        return ended + [outcome for pack in list(self._packs) for outcome in self._train(pack)]

    def _save(self) -> None:
        for pack in self._packs:
            for replica, encoder in enumerate(pack.runs):
                save_if_memory_allows(partial(pack.checkpoint, replica), encoder.key, self._stage, self._reporter)

    def _let_in(self) -> list[Ended]:
        """Let those in who are outside, as far as there is room."""
        room = (
            len(self._outside)
            if self._memory_limit.replicas is None
            else max(0, self._memory_limit.replicas - self._inside)
        )
        entering, self._outside = self._outside[:room], self._outside[room:]
        if not entering:
            return []
        pack = self._packs[0] if self._packs else None
        return self._regroup(pack, range(len(pack.runs)) if pack else (), entering)

    def _regroup(self, pack: Pack | None, staying: Sequence[int], arriving: Sequence[PretrainRun]) -> list[Ended]:
        """Put a pack in the place of `pack`: of its replicas those that stay, and those that arrive."""
        kept = [pack.runs[replica] for replica in staying] if pack else []
        if pack is not None:
            self._packs.remove(pack)
        if not kept and not arriving:
            return []
        try:
            if pack is not None and pack.swap_replicas(staying, arriving):
                new = pack
            else:
                new = trainer_of((kept or arriving)[0].experiment).pretrain_pack(
                    [*kept, *arriving], self._pool, self._group
                )
                for place, replica in enumerate(staying):
                    assert pack is not None, "only a pack has replicas that stay"
                    new.restore(place, pack.checkpoint(replica))
            for place, encoder in enumerate(arriving, len(kept)):
                self._resume(new, place, encoder)
        except Exception as error:
            return self._split(error, [*kept, *arriving])
        self._packs.append(new)
        before = [place for place, encoder in enumerate(new.runs) if encoder.epoch >= encoder.epochs]
        ended: list[Ended] = [TrainedEncoder(new.runs[place], "finished", new.replica_state(place)) for place in before]
        if before:
            ended += self._regroup(new, [place for place in range(len(new.runs)) if place not in before], ())
        return ended

    def _resume(self, pack: Pack, place: int, encoder: PretrainRun) -> None:
        saved = self._reporter.load_checkpoint(encoder.key, self._stage)
        checkpoint = from_bytes(saved, encoder.key, self._stage, pack.checkpoint(place).tensors)
        if checkpoint is None:
            return
        pack.restore(place, checkpoint)
        encoder = pack.runs[place]
        for probe in encoder.probes:
            # told once more: who hears it for the first time may have been started anew
            epoch = int(probe["epoch"])
            news = {"probe": probe["probe"], **_figures_of(encoder, epoch)}
            self._reporter.epoch(encoder.key, self._stage, epoch, encoder.epochs, news)

    def _split(self, error: Exception, encoders: Sequence[PretrainRun]) -> list[Ended]:
        """What becomes of a pack that raised."""
        drop_frames(error)
        if out_of_memory(error):
            if len(encoders) == 1 and not self._packs:
                return [self._failure(encoders[0].key, too_large_alone(encoders[0].key, error))]
            self._memory_limit.ran_out(self._inside + len(encoders))
            # they are let in at the next epoch: by then nothing of the pack that broke is left in memory
            self._outside = [*encoders, *self._outside]
            return []
        if len(encoders) == 1:
            return [self._failure(encoders[0].key, error)]
        middle = len(encoders) // 2
        return [outcome for half in (encoders[:middle], encoders[middle:]) for outcome in self._regroup(None, (), half)]

    def _failure(self, key: str, error: Exception) -> StageFailure:
        return stage_failure(key, _KINDS[self._stage], error)

    def _train(self, pack: Pack) -> list[Ended]:
        try:
            errors: list[Exception | None] = list(pack.train_epoch())
        except Exception as error:
            self._packs.remove(pack)
            return self._split(error, pack.runs)
        ended: list[Ended] = []
        staying = []
        for replica, (encoder, failure) in enumerate(zip(pack.runs, errors, strict=True)):
            outcome = self._after_epoch(pack, replica, encoder, failure)
            if outcome is None:
                staying.append(replica)
            else:
                ended.append(outcome)
        if ended:
            ended += self._regroup(pack, staying, ())
        return ended

    def _after_epoch(self, pack: Pack, replica: int, encoder: PretrainRun, failure: Exception | None) -> Ended | None:
        """Report one encoder; how it has ended, if it has."""
        tensors = partial(pack.replica_state, replica)
        news: dict[str, float] | None = None
        if failure is None:
            try:
                news = self._figures(encoder, tensors)
            except Exception as error:
                failure = error
        if failure is not None:
            return self._failure(encoder.key, failure)
        go_on = news is None or self._reporter.epoch(encoder.key, self._stage, encoder.epoch, encoder.epochs, news)
        if go_on and encoder.epoch % self._checkpoint_every == 0:
            save_if_memory_allows(partial(pack.checkpoint, replica), encoder.key, self._stage, self._reporter)
        if encoder.epoch == encoder.epochs:
            return TrainedEncoder(encoder, "finished", tensors())
        return None if go_on else TrainedEncoder(encoder, "stopped", tensors())


def train_encoders(
    encoders: Sequence[PretrainRun],
    pool: Windows,
    reporter: Reporter,
    checkpoint_every: int,
    group: Collectives = SINGLE_PROCESS,
    memory_limit: MemoryLimit | None = None,
) -> Iterator[Ended]:
    """Train encoders to the end; each is handed out as it ends, and its work is spared from then on.

    Parameters
    ----------
    encoders : sequence of PretrainRun
        None of them begun; where there is a checkpoint, they go on from it.
    pool, reporter, checkpoint_every, group, memory_limit
        As of `EncoderSlots`.
    """
    slots = EncoderSlots(pool, reporter, checkpoint_every, group=group, memory_limit=memory_limit)
    yield from slots.join(encoders)
    while slots.used:
        yield from slots.epoch()


def stage_failure(key: str, kind: StageKind, error: Exception) -> StageFailure:
    """`error` as the outcome of one request."""
    return StageFailure(
        key=key,
        kind=kind,
        error=describe(error),
        traceback="".join(traceback.format_exception(error)),
        cause=failure_cause(error),
    )
