"""Trainings that Tune's trials follow: each shows the epochs of one of them, and its outcome."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from scmmlab.execution.events import EpochEnded
from scmmlab.execution.ray.messages import TrainingUpdate
from scmmlab.execution.task import Outcome


@dataclass
class _Training:
    epochs: list[EpochEnded] = field(default_factory=list)
    ended: bool = False
    outcome: Outcome | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Followers:
    """Pairs trainings with followers, and keeps for these what they have not seen yet."""

    def __init__(self) -> None:
        self._trainings: dict[str, _Training] = {}
        self._unfollowed: deque[str] = deque()
        self._keys: dict[str, str] = {}
        self._present: set[str] = set()
        self._arrived = asyncio.Condition()

    async def offer(self, keys: Iterable[str]) -> None:
        """Trainings that are to be followed."""
        for key in keys:
            self._trainings[key] = _Training()
            self._unfollowed.append(key)
        async with self._arrived:
            self._arrived.notify_all()

    def add_epoch(self, epoch: EpochEnded) -> None:
        """A training has reported."""
        if (training := self._trainings.get(epoch.key)) is not None:
            training.epochs.append(epoch)
            training.changed.set()

    def end(self, key: str, outcome: Outcome | None) -> None:
        """A training has ended, or (without an outcome) was cancelled before it began."""
        if (training := self._trainings.get(key)) is not None:
            training.ended, training.outcome = True, outcome
            training.changed.set()

    async def follow(self, follower: str, timeout_s: float) -> str | None:
        """The key of what a follower follows, the same again when its process was restarted; None after `timeout_s`."""
        if follower not in self._keys:
            async with self._arrived:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._arrived.wait_for(lambda: bool(self._unfollowed)), timeout_s)
            if not self._unfollowed:
                return None
            self._keys[follower] = self._unfollowed.popleft()
        return self._keys[follower]

    async def update(self, key: str, seen: int, timeout_s: float) -> TrainingUpdate:
        """Epochs of `key` after the first `seen`, and its end; waits up to `timeout_s` for either."""
        training = self._trainings[key]
        if len(training.epochs) <= seen and not training.ended:
            training.changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(training.changed.wait(), timeout_s)
        return TrainingUpdate(tuple(training.epochs[seen:]), training.ended, training.outcome)

    def unfollow(self, key: str) -> None:
        """Nobody follows `key` any longer."""
        self._trainings.pop(key, None)

    async def gather(self, member: str, members: int, timeout_s: float) -> None:
        """Wait, `timeout_s` at most, until so many different members have called this."""
        self._present.add(member)
        async with self._arrived:
            self._arrived.notify_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait_for(lambda: len(self._present) >= members), timeout_s)
