"""That what a layout says of channels fits some recording of its corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scmmlab.corpora.lab.channels import why_no_eeg
from scmmlab.corpora.lab.layout import LayoutSpec
from scmmlab.corpora.lab.signal import described
from scmmlab.corpora.lab.units import volts_in
from scmmlab.errors import CorpusError, nearest


def check_channel_names(layout: LayoutSpec, root: Path, files: Sequence[str]) -> None:
    """Raise a `CorpusError` where a layout names channels that no recording has, or scales none.

    Recordings are opened until each name has been found; of those that cannot be read nothing is known, and nothing is
    said of names then.

    Parameters
    ----------
    layout : LayoutSpec
        What is said of channels.
    root : Path
        The corpus's folder.
    files : sequence of str
        Its recordings.
    """
    spec = layout.signal
    missing = {
        **{("rename", name): name for name in spec.rename},
        **{("drop", name): name for name in spec.drop},
        **{("reference_channels", name): name for name in spec.reference_channels},
    }
    unscaled, seen = spec.scale is not None, dict[str, None]()
    for file in files:
        if not missing and not unscaled:
            return
        try:
            channels, _ = described(layout, root, file)
        except CorpusError:
            # the recording is refused as such when it is read
            return
        own = [channel.name for channel in channels]
        names = [spec.rename.get(name, name) for name in own]
        missing = {key: name for key, name in missing.items() if name not in (own if key[0] == "rename" else names)}
        eeg = [channel for channel, name in zip(channels, names, strict=True) if not why_no_eeg(channel, name)]
        unscaled = unscaled and all(channel.unit and volts_in(channel.unit) for channel in eeg)
        seen.update(dict.fromkeys([*own, *names]))
    if missing:
        (setting, name), *_ = missing
        guess = nearest(name, [other for other in seen if other not in missing.values()])
        raise CorpusError(
            f"No recording in '{root}' has channel {name}, which signal.{setting} names: expected one of "
            f"{', '.join(seen)}, found {name}.",
            f"did you mean {guess!r}?" if guess else "capitals count; the names after signal.rename are meant.",
        )
    if unscaled:
        raise CorpusError(
            f"signal.scale applies to no channel in '{root}': expected channels without a unit, found a voltage stated "
            "for each.",
            "leave signal.scale out; where a stated unit is wrong, correct it in the recordings.",
        )
