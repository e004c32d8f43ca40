"""What a training tells the outside, and what it asks of it: progress, when to stop, and checkpoints."""

from __future__ import annotations


class Reporter:
    """Receives the news of trainings; this base class does nothing, keeps nothing and stops nothing.

    An engine overrides what it needs. Whatever a method raises goes through the training to its caller: it is how a
    run is interrupted.
    """

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        """An epoch has ended.

        Parameters
        ----------
        key : str
            Key of the request.
        stage : str
            ``pretrain``, ``finetune`` or ``probe``.
        epoch, epochs : int
            The epoch that ended, from 1, and how many there are to be. After a resume, epochs that were reported
            before the interruption but after the last checkpoint are reported once more, with the same numbers.
        metrics : dict
            Figures of the epoch; of ``finetune``, means over the folds that train together.

        Returns
        -------
        bool
            False stops this training (not its neighbours).
        """
        return True

    @property
    def preempted(self) -> bool:
        """Whether the process is being preempted.

        A training asks between two epochs; if so, it saves a checkpoint of everything that it trains, whatever the
        interval, and then calls `end_preempted`.
        """
        return False

    def end_preempted(self) -> None:
        """Everything is saved: end the trainings, by raising, where `preempted` was true."""

    def slots(self, used: int, there: int) -> None:
        """A pack with `there` slots, `used` of them in use, is about to be trained through an epoch."""

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Keep `data` as the latest checkpoint of (`key`, `stage`), atomically.

        `stage` is a plain word: ``pretrain``, ``probe``, or ``finetune-3`` for the fold of that number.
        """

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """The latest checkpoint of (`key`, `stage`), or None."""
        return None
