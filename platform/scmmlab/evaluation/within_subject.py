"""The within-subject split: each session's trials in time order, fine-tune part first, test part last."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scmmlab.config.protocol import HonestProtocol, ReleasedProtocol, UdaInductiveProtocol, UdaTransductiveProtocol
from scmmlab.errors import SplitError
from scmmlab.evaluation.trials import Trials

FINETUNE, VALIDATION, TEST = 0, 1, 2

TrialSplit = HonestProtocol | ReleasedProtocol | UdaInductiveProtocol | UdaTransductiveProtocol


def part_of_trials(trials: Trials, protocol: TrialSplit) -> NDArray[np.int8]:
    """The part of each trial, decided for each (subject, session) by itself.

    Under `time` only trial numbers decide what is tested. Under `time_within_class` the class of a trial decides
    with them, which is known from the order of stimuli and is the same for every model.

    Parameters
    ----------
    trials : Trials
        Trials of the target.
    protocol : TrialSplit
        How they are split. Only `honest` has a validation part in the target.

    Returns
    -------
    array of int8, shape=(trials,)
        FINETUNE, VALIDATION or TEST.

    Raises
    ------
    SplitError
        If `finetune_trials` leaves nothing to test.
    """
    part = np.full(trials.trial.size, TEST, dtype=np.int8)
    for session in _groups(trials.subject, trials.session):
        by_class = _groups(trials.label[session])
        if protocol.trial_order == "time_within_class":
            for one_class in by_class:
                members = session[one_class]
                part[members[: _finetune_count(trials, members, protocol)]] = FINETUNE
        else:
            part[session[: _finetune_count(trials, session, protocol)]] = FINETUNE

        if isinstance(protocol, HonestProtocol):
            for one_class in by_class:
                seen = session[one_class][part[session[one_class]] == FINETUNE]
                part[seen[seen.size - share_count(protocol.validation_share, seen.size) :]] = VALIDATION
    return part


def share_count(share: float, of: int) -> int:
    """`share` of a number, rounded half up, but at least one, and one left; nothing of fewer than two."""
    return 0 if of < 2 else min(max(int(share * of + 0.5), 1), of - 1)


def _finetune_count(trials: Trials, members: NDArray[np.int64], protocol: TrialSplit) -> int:
    """How many of `members`, the trials of a session (or of one class in it), are the fine-tune part."""
    if protocol.finetune_trials is None:
        # a lone trial is trained on; the check of classes then tells whether the test part can do without it
        return max(share_count(protocol.finetune_share, members.size), 1)
    if protocol.finetune_trials >= members.size:
        first = members[0]
        kind = " of one class" if protocol.trial_order == "time_within_class" else ""
        raise SplitError(
            f"Invalid value for 'protocol.finetune_trials': it must leave a trial to test, but is "
            f"{protocol.finetune_trials} and session {trials.session[first]} of subject {trials.subject[first]} has "
            f"{members.size} trials{kind}.",
            hint="lower it, or use finetune_share.",
        )
    return protocol.finetune_trials


def _groups(*columns: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Positions that agree in all columns, group by group, ascending within a group."""
    _, group = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    return [np.flatnonzero(group.reshape(-1) == number) for number in range(int(group.max(initial=-1)) + 1)]
