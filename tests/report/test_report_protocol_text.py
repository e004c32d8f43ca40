"""Protocols in words."""

from __future__ import annotations

import pytest

from scmmlab.config import HonestProtocol, LosoProtocol, ReleasedProtocol, ZeroShotProtocol
from scmmlab.config.protocol import ProtocolSpec
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.report.protocol_text import protocol_text, quirks_text, released_note


@pytest.mark.parametrize(
    ("protocol", "phrases"),
    [
        (
            HonestProtocol(),
            [
                "Each target subject is a fold",
                "the first 60 % of the trials of each session",
                "last 25 %",
                "The last epoch",
            ],
        ),
        (
            HonestProtocol(finetune_trials=9, trial_order="time_within_class", epoch_selection="best_validation"),
            ["the first 9 of the trials of each class in each session", "best on validation"],
        ),
        (LosoProtocol(subjects_per_fold=3), ["left out and tested in folds of up to 3", "25 % validate"]),
        (ZeroShotProtocol(), ["labels of the source", "no label of the target"]),
        (ReleasedProtocol(), ["best one by the test labels", "first 10 batches", "gradients are never zeroed"]),
    ],
)
def test_protocols_are_said_in_words(protocol: ProtocolSpec, phrases: list[str]) -> None:
    text = protocol_text(ScmmSpec(protocol=protocol))
    for phrase in phrases:
        assert phrase in text
    leaky = isinstance(protocol, ReleasedProtocol)
    assert ("Test labels are opened once" in text) is not leaky


def test_a_quirk_that_is_off_is_not_said() -> None:
    off = ReleasedProtocol(scale_each_part=False, accuracy="all_windows", epoch_selection="last")
    plain = ScmmSpec(protocol=off).without_quirks()
    assert quirks_text(plain) == []
    assert len(quirks_text(ScmmSpec(protocol=off))) == 5
    assert "no quirk is on" in protocol_text(plain)
    assert "switched off" in released_note(off)
    assert "chooses by test labels" in released_note(ReleasedProtocol())
    assert "scales the test part" in released_note(ReleasedProtocol(epoch_selection="last"))
