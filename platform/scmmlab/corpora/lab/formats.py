"""Recordings in the formats of MNE, opened once their headers are known to name nothing outside the corpus."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from scmmlab.corpora.edf import read_edf_header
from scmmlab.corpora.lab.bids import apply_sidecars, stated_date
from scmmlab.corpora.lab.brainvision import brainvision_parts
from scmmlab.corpora.lab.eeglab import check_data_size, eeglab_parts
from scmmlab.corpora.lab.fif import fif_parts
from scmmlab.corpora.lab.neuroscan import neuroscan_parts
from scmmlab.corpora.opening import open_below
from scmmlab.errors import CorpusError


def _edf_parts(root: Path, file: str) -> tuple[str, ...]:
    """None; the header is held against the file's size."""
    read_edf_header(root / file)
    return ()


_PARTS: dict[str, Callable[[Path, str], tuple[str, ...]]] = {
    ".edf": _edf_parts,
    ".bdf": _edf_parts,
    ".vhdr": brainvision_parts,
    ".fif": fif_parts,
    ".set": eeglab_parts,
    ".cnt": neuroscan_parts,
}
ENDINGS = tuple(_PARTS)
"""How names of recordings end."""


def parts_of(root: Path, file: str) -> tuple[str, ...]:
    """Other files that a recording consists of, as paths relative to `root`, once its header is known to be sound.

    Raises
    ------
    CorpusError
        If a file is missing, lies outside `root`, or is not what its header says.
    """
    path = root / file
    open_below(root, file)
    # what a header names beside it may be a link
    for sibling in path.parent.glob(f"{_escaped(path.stem)}*"):
        if sibling.is_symlink():
            open_below(root, sibling.relative_to(root).as_posix())
    try:
        return _PARTS[path.suffix.lower()](root, file)
    except OSError as error:
        raise CorpusError(f"'{path}' cannot be read: expected a recording, found {error.strerror}.") from error


def open_recording(root: Path, file: str, bids: bool = False) -> Any:
    """A recording as MNE's `Raw`, its signal not yet read.

    Parameters
    ----------
    root : Path
        The corpus's folder.
    file : str
        One of its recordings, relative to it.
    bids : bool
        Whether `root` is a BIDS folder: the files beside the recording then say what its channels and events are.

    Raises
    ------
    CorpusError
        If it cannot be read, or a file that belongs to it lies outside `root`.
    """
    # MNE takes a second to import
    import mne

    path = root / file
    parts = parts_of(root, file)
    options: dict[str, Any] = {}
    if path.suffix.lower() in (".edf", ".bdf") and not bids:
        # EDF+ writes a signal's type before its name: "EEG Fp1"; in BIDS names are those of channels.tsv
        options["infer_types"] = True
    elif path.suffix.lower() == ".fif" and bids:
        options["allow_maxshield"] = True

    def read() -> Any:
        raw = mne.io.read_raw(path, preload=False, verbose="ERROR", **options)
        if bids:
            apply_sidecars(root, file, raw)
        return raw

    raw = _guarded(path, read)
    own = sorted((file, *parts))
    for name in raw.filenames:
        if Path(name).resolve() not in [(root / part).resolve() for part in own]:
            raise CorpusError(
                f"'{path}' has its signal in another file: expected {' or '.join(own)} below '{root}', found '{name}'.",
                "the files of one recording must lie side by side and have one name.",
            )
    check_data_size(root, file, len(raw.ch_names), raw.n_times)
    return raw


def read_segment(raw: Any, picks: list[int], start: int, stop: int, path: Path) -> Any:
    """Samples start to stop of some channels, shape=(n_channels, n_times), in MNE's units."""
    return _guarded(path, lambda: raw.get_data(picks=picks, start=start, stop=stop))


def eeg_channels(raw: Any, path: Path) -> list[int]:
    """Where in a recording the channels are that it says are EEG."""
    import mne

    picks: list[int] = _guarded(path, lambda: mne.pick_types(raw.info, meg=False, eeg=True, exclude=()).tolist())
    return picks


def started(root: Path, file: str, bids: bool) -> datetime:
    """When a recording was started, as it says itself.

    Raises
    ------
    CorpusError
        If it does not say.
    """
    date = (stated_date(root, file) if bids else None) or open_recording(root, file, bids).info["meas_date"]
    if date is None:
        raise CorpusError(
            f"'{root / file}' does not say when it was recorded: expected a date and time, found none.",
            "with order: name the names of the files say the order.",
        )
    assert isinstance(date, datetime)
    return date


def _guarded(path: Path, read: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read()
        except CorpusError:
            raise
        # a file that is not what it seems can fail anywhere in MNE, SciPy or mne-bids, with any exception
        except Exception as error:
            said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise CorpusError(
                f"'{path}' cannot be read: expected a recording ({path.suffix}), found what MNE says: {said}",
            ) from error


def _escaped(name: str) -> str:
    """A name as a glob pattern that stands for itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
