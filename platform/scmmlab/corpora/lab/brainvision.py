"""BrainVision headers: which files they name, and whether they are whole."""

from __future__ import annotations

import re
from pathlib import Path

from scmmlab.corpora.opening import open_below
from scmmlab.errors import CorpusError

_POINTER = re.compile(r"^[ \t]*(DataFile|MarkerFile)[ \t]*[=:](.*)$", re.IGNORECASE | re.MULTILINE)
_NEW_SEGMENT = re.compile(rb"^Mk\d+=New Segment,[^,\r\n]*,(\d+)", re.MULTILINE)
_CODEPAGE = re.compile(r"Codepage=(.+)", re.IGNORECASE)
_CODEPAGES = {"UTF-8": "utf-8", "ANSI": "cp1252"}
_CHANNEL = re.compile(r"^Ch(\d+)=(.*)$", re.MULTILINE)
_SAMPLE_BYTES = {"INT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}


def brainvision_parts(root: Path, file: str) -> tuple[str, ...]:
    """The data and marker files of a header, relative to the root.

    Raises
    ------
    CorpusError
        If the header is not whole, or a file that it names is missing, not below `root`, or of a wrong size.
    """
    path = root / file
    text = _decoded(path)
    if "Brain Vision" not in text[:200] and "BrainVision" not in text[:200]:
        raise _wrong(path, "the first line", "'Brain Vision Data Exchange Header File'", repr(text[:40]))
    names: dict[str, str] = {}
    for match in _POINTER.finditer(text.split("[Comment]")[0]):
        names[match[1].lower()] = match[2].strip()
    if not names.get("datafile"):
        raise _wrong(path, "DataFile", "the name of the file with the signal", "none")
    parts = []
    for key, name in names.items():
        # a header copied under another name may still name the old marker file; MNE then takes the one beside it
        options = (name, f"{path.stem}.vmrk") if key == "markerfile" else (name,)
        below = [_below(root, file, option) for option in options if option]
        there = next((part for part in below if (root / part).is_file()), None)
        if there is not None:
            parts.append(there)
        elif name:
            raise CorpusError(
                f"'{path}' names a file that is not there: expected '{root / below[0]}', found nothing.",
                "copy all files of the recording; a file that was renamed must be renamed in its header as well.",
            )
    _check_size(path, text, root / parts[list(names).index("datafile")])
    return tuple(parts)


def new_segments(markers: Path) -> tuple[int, ...]:
    """Samples, from 0, at which a marker file says that a new segment starts; MNE leaves out the first of them."""
    return tuple(int(place) - 1 for place in _NEW_SEGMENT.findall(markers.read_bytes()))


def brainvision_channels(path: Path) -> list[tuple[str, str]]:
    """Name and unit of each channel of a header that is whole, in their order; the unit is µV where none is stated."""
    found: dict[int, tuple[str, str]] = {}
    for number, properties in _CHANNEL.findall(_channel_infos(_decoded(path))):
        # a comma in a name is written as \\1
        name, _, _, unit, *_ = (*(text.replace(r"\1", ",") for text in properties.split(",")), "", "", "")
        found[int(number)] = name.strip(), unit.strip() or "µV"
    return [found[number] for number in sorted(found)]


def sampling_interval(path: Path) -> str:
    """What a header states as the time between two samples, in µs."""
    return _value(_decoded(path), "SamplingInterval")


def is_rounded(interval: str, sampling_rate: float) -> bool:
    """Whether a sampling interval is what a sampling rate in Hz comes to, rounded or cut to as many digits."""
    try:
        stated = float(interval)
    except ValueError:
        return False
    last_digit = 10.0 ** -len(interval.partition(".")[2].rstrip())
    return 0 < abs(stated - 1e6 / sampling_rate) < last_digit


def _decoded(path: Path) -> str:
    """The header's text in the code page that it states, or in Latin-1 where it is not in that, as MNE reads it."""
    content = path.read_bytes()
    stated = _CODEPAGE.search(content.decode("ascii", "ignore"))
    name = stated[1].strip() if stated else "UTF-8"
    if name.upper() not in _CODEPAGES:
        raise _wrong(path, "Codepage", " or ".join(_CODEPAGES), name)
    try:
        return content.decode(_CODEPAGES[name.upper()])
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _below(root: Path, file: str, name: str) -> str:
    """A file that a header names, relative to the root, once it is known to be below it."""
    part = (Path(file).parent / name).as_posix()
    if "\0" in part:
        raise _wrong(root / file, "a file's name", "text", repr(name))
    open_below(root, part)
    return part


def _check_size(path: Path, text: str, data: Path) -> None:
    count = _value(text, "NumberOfChannels")
    named = len(_CHANNEL.findall(_channel_infos(text)))
    if not count.isdecimal() or int(count) != named or not named:
        raise _wrong(path, "NumberOfChannels", f"{named}, the channels that it names", count or "none")
    sample_bytes = _SAMPLE_BYTES.get(_value(text, "BinaryFormat"))
    if sample_bytes and (data.stat().st_size == 0 or data.stat().st_size % (sample_bytes * named)):
        raise CorpusError(
            f"'{data}' is truncated or does not fit '{path}': expected a multiple of {sample_bytes * named} bytes for "
            f"{named} channels, found {data.stat().st_size} bytes.",
            "copy both files again.",
        )
    names = [name for name, _ in brainvision_channels(path)]
    for name in names:
        if names.count(name) > 1:
            raise CorpusError(
                f"'{path}' has channel {name} {names.count(name)} times: expected it once, found {', '.join(names)}.",
                "give channels different names in the header, which is a text.",
            )


def _channel_infos(text: str) -> str:
    section = re.search(r"^\[Channel Infos\]\s*$(.*?)(?=^\[|\Z)", text, re.IGNORECASE | re.MULTILINE | re.DOTALL)
    return section[1] if section else ""


def _value(text: str, key: str) -> str:
    match = re.search(rf"^{key}=(.*)$", text, re.MULTILINE)
    return match[1].strip() if match else ""


def _wrong(path: Path, what: str, expected: str, found: str) -> CorpusError:
    return CorpusError(
        f"The header '{path}' is wrong about {what}: expected {expected}, found {found}.", "copy the file again."
    )
