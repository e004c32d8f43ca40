"""Recordings in the formats of MNE, opened once their headers are known to name nothing outside the corpus."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from scmmlab.corpora.edf import EdfHeader, read_edf_header
from scmmlab.corpora.lab.bids import apply_events, refuse_epochs, stated_date
from scmmlab.corpora.lab.brainvision import brainvision_parts, is_rounded, sampling_interval
from scmmlab.corpora.lab.edf_raw import open_edf
from scmmlab.corpora.lab.eeglab import check_data_size, eeglab_parts
from scmmlab.corpora.lab.fif import fif_parts
from scmmlab.corpora.lab.layout import RecordingsSpec
from scmmlab.corpora.lab.neuroscan import neuroscan_parts
from scmmlab.corpora.opening import open_below
from scmmlab.errors import CorpusError


@dataclass(frozen=True)
class EdfPart:
    """Which signals of an EDF or BDF file are to be opened.

    Parameters
    ----------
    header : EdfHeader
        What its header says.
    names : dict of int to str
        Names of those wanted, by their places in the file; all are of one sampling rate.
    """

    header: EdfHeader
    names: dict[int, str]


def edf_header(path: Path, spec: RecordingsSpec) -> EdfHeader | None:
    """The header of an EDF or BDF file, as far as it must be sound whatever is taken; None of another format."""
    if path.suffix.lower() not in (".edf", ".bdf"):
        return None
    return read_edf_header(path, accept_incomplete=spec.accept_incomplete)


def _no_parts(root: Path, file: str) -> tuple[str, ...]:
    """None: the file is whole by itself."""
    return ()


_PARTS: dict[str, Callable[[Path, str], tuple[str, ...]]] = {
    ".edf": _no_parts,
    ".bdf": _no_parts,
    ".vhdr": brainvision_parts,
    ".fif": fif_parts,
    ".set": eeglab_parts,
    ".cnt": neuroscan_parts,
}
_USUAL_RATES = (128, 256, 512, 1024, 2048, 4096, 8192, 16384, 300, 600, 1200, 2400, 4800, 150, 220)
"""Sampling rates of amplifiers, in Hz, that are no whole number of µs."""
ENDINGS = tuple(_PARTS)
"""How names of recordings end."""


def parts_of(root: Path, file: str, spec: RecordingsSpec) -> tuple[str, ...]:
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
        edf_header(path, spec)
        return _PARTS[path.suffix.lower()](root, file)
    except OSError as error:
        raise CorpusError(f"'{path}' cannot be read: expected a recording, found {error.strerror}.") from error


def open_recording(
    root: Path, file: str, spec: RecordingsSpec, part: EdfPart | None = None, sampling_rate: float | None = None
) -> Any:
    """A recording as MNE's `Raw`, its signal not yet read.

    Parameters
    ----------
    root : Path
        The corpus's folder.
    file : str
        One of its recordings, relative to it.
    spec : RecordingsSpec
        In a BIDS folder the files beside the recording say what its channels and events are.
    part : EdfPart | None
        Which signals of an EDF or BDF file; some, for whoever wants none, where it is None.
    sampling_rate : float | None
        What the time between samples in a BrainVision header is known to stand for, in Hz.

    Raises
    ------
    CorpusError
        If it cannot be read, or a file that belongs to it lies outside `root`.
    """
    path = root / file
    parts = parts_of(root, file, spec)
    header = edf_header(path, spec)
    if header is not None and part is None:
        sound = (place for place, signal in enumerate(header.signals) if signal.label and not signal.is_annotations)
        part = EdfPart(header, {place: header.signals[place].label for place in islice(sound, 1)})
    raw = guarded(path, lambda: _read(root, path, spec, part, sampling_rate))
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
    return guarded(path, lambda: raw.get_data(picks=picks, start=start, stop=stop))


def start_time(root: Path, file: str, spec: RecordingsSpec) -> datetime:
    """When a recording was started, as it says itself.

    Raises
    ------
    CorpusError
        If it does not say.
    """
    stated = None if spec.bids is None else stated_date(root, file)
    date = stated or open_recording(root, file, spec).info["meas_date"]
    if date is None:
        raise CorpusError(
            f"'{root / file}' does not say when it was recorded: expected a date and time, found none.",
            "with order: name the names of the files say the order.",
        )
    assert isinstance(date, datetime)
    return date


def _read(root: Path, path: Path, spec: RecordingsSpec, part: EdfPart | None, sampling_rate: float | None) -> Any:
    # MNE takes a second to import
    import mne

    ending = path.suffix.lower()
    options: dict[str, Any] = {}
    if ending == ".vhdr":
        interval = sampling_interval(path)
        if sampling_rate is not None and is_rounded(interval, sampling_rate):
            options["overrides"] = {"sfreq": sampling_rate}
        elif sampling_rate is None:
            _refuse_rounding(path, interval)
    if ending == ".fif" and spec.bids is not None:
        options["allow_maxshield"] = True
    if part is None:
        raw = mne.io.read_raw(path, preload=False, verbose="ERROR", **options)
    else:
        raw = open_edf(path, part.header, list(part.names), spec.encoding)
        raw.rename_channels({str(place): name for place, name in part.names.items()}, verbose="ERROR")
    if spec.bids is not None:
        file = path.relative_to(root).as_posix()
        refuse_epochs(root, file)
        apply_events(root, file, raw)
    return raw


def _refuse_rounding(path: Path, interval: str) -> None:
    rates = [rate for rate in _USUAL_RATES if is_rounded(interval, rate)]
    if rates:
        raise CorpusError(
            f"The header '{path}' rounds the time between two samples: expected {1e6 / rates[0]:g} µs or another that "
            f"stands for a sampling rate, found {interval} µs, which are {1e6 / float(interval):g} Hz.",
            f"signal.sampling_rate: {rates[0]} if that is the rate of the amplifier.",
        )


def guarded(path: Path, read: Callable[[], Any]) -> Any:
    """What a function returns that reads a recording, or a `CorpusError` in place of whatever it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read()
        except CorpusError:
            raise
        # a file that is not what it seems can fail anywhere in MNE, SciPy or mne-bids, with any exception
        except Exception as error:
            if "encoding='latin1'" in str(error):
                raise CorpusError(
                    f"'{path}' has annotations in another code page: expected UTF-8, found bytes that are none.",
                    "recordings.encoding: latin1 is the code page of many recorders.",
                ) from error
            said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise CorpusError(
                f"'{path}' cannot be read: expected a recording ({path.suffix}), found what MNE says: {said}",
            ) from error


def _escaped(name: str) -> str:
    """A name as a glob pattern that stands for itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
