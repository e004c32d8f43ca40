"""Protocols in words, so that a reader need not know the names of settings."""

from __future__ import annotations

from scmmlab.config import (
    ExperimentSpec,
    HonestProtocol,
    LosoProtocol,
    Regime,
    ReleasedProtocol,
    UdaInductiveProtocol,
    UdaTransductiveProtocol,
    ZeroShotProtocol,
)
from scmmlab.evaluation.within_subject import TrialSplit

REGIMES_IN_WORDS: dict[Regime, str] = {
    "target_few": "trained on labelled trials of the tested subject",
    "target_pool": "trained on labels of other subjects of the target",
    "source_only": "trained on labels of the source, nothing of the target is seen",
    "uda_inductive": "trained on labels of the source; windows of the tested subject from before the test may be seen "
    "without labels",
    "uda_transductive": "trained on labels of the source; the tested windows may be seen without labels",
}
RELEASED_MARK = "‡"
TRANSDUCTIVE_MARK = "§"
TRANSDUCTIVE_NOTE = (
    f"{TRANSDUCTIVE_MARK} `uda_transductive` protocol: may see the tested windows, without their labels; not a "
    "prediction of a new recording."
)


def protocol_text(experiment: ExperimentSpec) -> str:
    """A few sentences: who is trained on, who is tested, which epoch is judged."""
    match protocol := experiment.protocol:
        case HonestProtocol():
            return (
                f"{_trial_split(protocol)} The last {_percent(protocol.validation_share)} of the fine-tune part's "
                f"trials of each class validate and are not trained on. {_epoch(protocol.epoch_selection)} {_SEALED}"
            )
        case LosoProtocol():
            return (
                f"{_tested(protocol.subjects_per_fold)} The model is fine-tuned on the other target subjects, of whom "
                f"{_percent(protocol.validation_share)} validate and are not trained on. "
                f"{_epoch(protocol.epoch_selection)} {_SEALED}"
            )
        case ZeroShotProtocol():
            return (
                f"The classifier learns on the labels of the source, of whose subjects the last "
                f"{_percent(protocol.validation_share)} validate; no label of the target is used before the test. "
                f"{_epoch(protocol.epoch_selection)} {_SEALED}"
            )
        case UdaInductiveProtocol() | UdaTransductiveProtocol():
            which = "fine-tune" if isinstance(protocol, UdaInductiveProtocol) else "test"
            return (
                f"{_trial_split(protocol)} The classifier learns on the labels of the source, of whose subjects the "
                f"last {_percent(protocol.validation_share)} validate; a method of domain adaptation also sees the "
                f"windows of the {which} part, without their labels. {_epoch(protocol.epoch_selection)} {_SEALED}"
            )
        case ReleasedProtocol():
            split = (
                _trial_split(protocol)
                if protocol.split == "within_subject"
                else f"{_tested(protocol.subjects_per_fold)} The model is fine-tuned on all other target subjects."
            )
            quirks = "; ".join(quirks_text(experiment)) or "no quirk is on"
            return f"{split} Nothing validates. As the released code does: {quirks}."


def quirks_text(experiment: ExperimentSpec) -> list[str]:
    """What the released code does that the leak-free protocols do not, as far as it is switched on."""
    protocol = experiment.protocol
    assert isinstance(protocol, ReleasedProtocol)
    leaks = [
        (protocol.epoch_selection == "best_test", "the epoch that is reported is the best one by the test labels"),
        (protocol.scale_each_part, "the test part is scaled by its own numbers"),
        (protocol.accuracy == "mean_of_batches", "a fold's accuracy is the mean of its test batches' accuracies"),
    ]
    return [*(words for on, words in leaks if on), *experiment.quirks_in_words()]


def released_note(protocol: ReleasedProtocol) -> str:
    """The footnote of every table that shows a variant under the released protocol."""
    if protocol.epoch_selection == "best_test":
        return f"{RELEASED_MARK} `released` protocol: chooses by test labels; not a result of the method."
    if protocol.scale_each_part:
        return (
            f"{RELEASED_MARK} `released` protocol: scales the test part by its own numbers; not a result of the method."
        )
    return f"{RELEASED_MARK} `released` protocol, with its leaks switched off."


_SEALED = "Test labels are opened once, after all choices are made."


def _trial_split(protocol: TrialSplit) -> str:
    amount = (
        f"first {_percent(protocol.finetune_share)}"
        if protocol.finetune_trials is None
        else f"first {protocol.finetune_trials}"
    )
    of = (
        "trials of each class in each session"
        if protocol.trial_order == "time_within_class"
        else "trials of each session"
    )
    together = (
        "Each target subject is a fold"
        if protocol.subjects_per_fold == 1
        else f"Up to {protocol.subjects_per_fold} target subjects share a fold"
    )
    return f"{together}: in the order of time, the {amount} of the {of} are the fine-tune part, the rest the test part."


def _tested(subjects_per_fold: int) -> str:
    if subjects_per_fold == 1:
        return "Each target subject is left out and tested in a fold of their own."
    return f"Target subjects are left out and tested in folds of up to {subjects_per_fold}."


def _epoch(selection: str) -> str:
    return "The last epoch is judged." if selection == "last" else "The epoch that is best on validation is judged."


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
