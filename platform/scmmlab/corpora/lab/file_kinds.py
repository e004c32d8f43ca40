"""What the names of files say that they are: recordings that can be read, those that cannot, parts of either."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from scmmlab.corpora.lab.formats import ENDINGS
from scmmlab.errors import CorpusError

PARTS = (".eeg", ".dat", ".vmrk", ".fdt")
"""Endings of files that belong to a recording whose header is another one."""
_OTHERS = (
    ".ahdr", ".cdt", ".con", ".dap", ".ds", ".e", ".edfz", ".eeg", ".egi", ".erd", ".gdf", ".lay", ".mefd", ".mff",
    ".nedf", ".ns1", ".ns2", ".ns3", ".ns4", ".ns5", ".ns6", ".nwb", ".nxe", ".poly5", ".raw", ".rec", ".rs3", ".snirf",
    ".sqd", ".trc", ".xdf",
)  # fmt: skip
"""Endings of recordings in formats that are not read."""
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar", ".tar", ".tgz")
_SMALL_ONLY = (".vhdr", ".set")
"""Endings that MNE knows in small letters alone."""


def why_not_read(file: str) -> str | None:
    """Why a file that is a recording by its name cannot be read; empty where it can, None where it is no recording."""
    name = PurePosixPath(file).name.lower()
    packed = next((ending for ending in _PACKED if name.endswith(ending)), None)
    inner = PurePosixPath(name.removesuffix(packed or ""))
    if packed and (inner.suffix in (*ENDINGS, *_OTHERS, *_PACKED) or packed in (".zip", ".7z", ".rar", ".tar", ".tgz")):
        return f"packed ({packed}); unpack it"
    if packed or inner.suffix not in (*ENDINGS, *_OTHERS):
        return None
    return "" if inner.suffix in ENDINGS else f"of a format that is not read ({inner.suffix})"


def check_ending(path: Path) -> None:
    """Raise a `CorpusError` where the name of a file that is asked for is none of a recording that can be read."""
    ending = path.suffix
    if ending.lower() not in ENDINGS:
        raise CorpusError(
            f"'{path}' is not a recording that can be read: expected a name that ends in {', '.join(ENDINGS)}, found "
            f"{ending or 'no ending'}.",
            "put the ending of the recordings into 'recordings.files'; BrainVision's is .vhdr.",
        )
    if ending.lower() in _SMALL_ONLY and ending != ending.lower():
        raise CorpusError(
            f"'{path}' cannot be read under this name: expected the ending {ending.lower()} in small letters, found "
            f"{ending}.",
            f"rename it, and the files beside it whose names it has: {path.stem}{ending.lower()}.",
        )
