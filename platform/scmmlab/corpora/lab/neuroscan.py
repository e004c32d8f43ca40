"""Neuroscan's CNT files: whether they are whole, and are none of ANT Neuro's, whose names end alike."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from scmmlab.errors import CorpusError

_EVENTS_AT = 886
"""Where the header says where the data end."""
_CHANNELS_AT, _ELECTRODES_AT, _ELECTRODE_BYTES = 370, 900, 75
"""Where it says how many channels there are, where they are described, and in how many bytes."""


def neuroscan_parts(root: Path, file: str) -> tuple[str, ...]:
    """None: a CNT file is whole by itself.

    Raises
    ------
    CorpusError
        If it is none of Neuroscan's, or shorter than its header says.
    """
    path = root / file
    with path.open("rb") as opened:
        header = opened.read(_EVENTS_AT + 4)
    if header.startswith((b"RIFF", b"RF64")) and find_spec("antio") is None:
        raise CorpusError(
            f"'{path}' cannot be read: expected a CNT file of Neuroscan, or the package antio, found one of ANT Neuro.",
            "pip install antio.",
        )
    if header.startswith(b"Version 3"):
        end, size = int.from_bytes(header[_EVENTS_AT:], "little", signed=True), path.stat().st_size
        if end > size or len(header) < _EVENTS_AT + 4:
            raise CorpusError(
                f"'{path}' is truncated: expected data up to byte {end} as its header says, found {size} bytes.",
                "copy the file again.",
            )
    elif not header.startswith((b"RIFF", b"RF64")):
        raise CorpusError(
            f"'{path}' is not a CNT file: expected one that starts with 'Version 3', found "
            f"{header[:9].decode('latin-1')!r}."
        )
    return ()


def neuroscan_names(path: Path) -> list[str]:
    """Names of the channels of a Neuroscan file that is whole; none where it is one of ANT Neuro's."""
    with path.open("rb") as opened:
        header = opened.read(_ELECTRODES_AT)
        if not header.startswith(b"Version 3"):
            return []
        count = int.from_bytes(header[_CHANNELS_AT : _CHANNELS_AT + 2], "little")
        electrodes = opened.read(count * _ELECTRODE_BYTES)
    starts = range(0, len(electrodes), _ELECTRODE_BYTES)
    return [electrodes[start : start + 10].split(b"\0")[0].decode("latin-1").strip() for start in starts]
