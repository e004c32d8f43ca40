"""What a recording says of its channels, and which of them are EEG."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scmmlab.corpora.edf import EdfHeader
from scmmlab.corpora.lab.bids import find_sidecar
from scmmlab.corpora.lab.brainvision import brainvision_channels
from scmmlab.corpora.lab.edf_raw import mne_gain
from scmmlab.corpora.lab.eeglab import eeglab_channels
from scmmlab.corpora.lab.neuroscan import neuroscan_names
from scmmlab.corpora.lab.tables import read_rows
from scmmlab.corpora.lab.units import is_no_voltage, volts_in
from scmmlab.errors import CorpusError, nearest

_ANYWHERE = re.compile("ecg|ekg|eog|emg")
_WORDS = frozenset(
    word
    for words in (
        # heart and eyes
        "heart cardio hr hrv pulse puls ppg bvp plet pleth plethysmo plethysmogram ibi bpm nibp",
        "heo heol heor heog veo veol veou veog veor leo reo loc roc io lo eye eyes eyex eyey gaze gazex gazey pupil",
        # muscles, breath, skin, temperature, oxygen
        "blink chin leg tibialis masseter zygomaticus corrugator resp respiration respiratory breath breathing airflow",
        "flow thorax thor thoracic abdomen abdo abd abdominal chest belt nasal snore snoring effort co etco",
        "gsr eda scr scl skin temp temperature spo sao sat osat oxy oximeter",
        # movement
        "acc accx accy accz accel accelerometer motion gyro gyrox gyroy gyroz dir quat",
        # what recorders have beside the electrodes: BioSemi, Brain Products, ANT, Nihon Kohden, Emotiv
        "exg ex ext erg ana aib aux misc bip dc counter interpolated cq battery packet impedance bursts suppr",
        # triggers and other marks
        "status trig trigger triggers trg marker markers mark event events sti stim stimulus ttl din digital sync",
        "photo photodiode photosensor photocell photic diode light audio sound mic microphone button buttons",
        "response responses keyboard annotation annotations",
    )
    for word in words.split()
)
"""Words that tell a channel which is no EEG; no electrode of a standard montage has one in its name."""
_ALONE = frozenset(
    ("gnd", "ground", "cms", "drl", "time", "timestamp", "timestamps", "sample", "samples", "code", "key")
)
"""Words that do so where the name has no other: `Fp1-GND` is EEG."""
_TYPES = ("EEG", "SEEG", "ECOG", "DBS", "EOG", "ECG", "EMG", "BIO", "RESP", "TEMP", "MISC", "SAO2", "STIM")
"""What stands before a name in a label of EDF+: 'EEG Fp1'."""
_OTHER_KINDS = ("bio", "ref", "meg", "mag", "grad", "seeg", "ecog", "dbs", "other")
_MICROVOLT = 1e-6


@dataclass(frozen=True)
class Channel:
    """A channel, as a recording describes it.

    Parameters
    ----------
    name : str
        Its name, without what EDF+ writes before it.
    kind : str
        The type that the recording states, in small letters; empty where it states none.
    unit : str | None
        The unit that it states; None where the format has one of its own, and states none.
    gain : float
        How many volts MNE takes one of that unit for.
    bad : bool
        Whether it is marked as bad.
    other_unit : str
        What a table beside the recording states, where that is another unit of voltage.
    """

    name: str
    kind: str = ""
    unit: str | None = None
    gain: float = 1.0
    bad: bool = False
    other_unit: str = ""


def is_no_eeg_by_name(name: str) -> bool:
    """Whether a name is one of something else than an electrode of the EEG."""
    words = set(re.findall("[a-z]+", name.lower()))
    return bool(_ANYWHERE.search(name.lower()) or words & _WORDS or (words and words <= _ALONE))


def why_no_eeg(channel: Channel, name: str) -> str:
    """Why a channel that has been given a name is no EEG; empty where it is. A type that is stated decides alone."""
    if not name:
        return "without a name"
    if channel.kind:
        return "" if channel.kind == "eeg" else f"no EEG: of type {channel.kind}"
    if is_no_eeg_by_name(name):
        return "no EEG by name"
    if channel.unit and is_no_voltage(channel.unit):
        return f"no EEG: in {channel.unit}"
    return ""


def edf_channels(header: EdfHeader, bids: bool) -> list[Channel]:
    """The channels of an EDF or BDF file, without its annotations; in BIDS, labels are names as they stand."""
    found: list[Channel] = []
    for signal in header.signals:
        if signal.is_annotations:
            continue
        kind, _, rest = signal.label.partition(" ")
        name, kind = (rest.strip(), kind.lower()) if kind.upper() in _TYPES and rest.strip() else (signal.label, "")
        # some recorders write "EEG" before whatever they record
        kind = "" if kind == "eeg" and _ANYWHERE.search(name.lower()) else kind
        found.append(Channel(signal.label if bids else name, kind, signal.unit, mne_gain(signal.unit)))
    # "EEG 1" and "ECG 1" are two channels: what is no EEG then keeps its whole label
    labels = [signal.label for signal in header.signals if not signal.is_annotations]
    eeg = {channel.name for channel in found if channel.kind in ("", "eeg")}
    return [
        replace(channel, name=label) if channel.name in eeg and channel.kind not in ("", "eeg") else channel
        for channel, label in zip(found, labels, strict=True)
    ]


def raw_channels(raw: Any, path: Path) -> list[Channel]:
    """The channels of a recording of another format, in MNE's order, by the names that the file gives them.

    Raises
    ------
    Exception
        Of any kind, where the file is not what it seems.
    """
    ending, names = path.suffix.lower(), list(raw.ch_names)
    found = [Channel(name, kind) for name, kind in zip(names, raw.get_channel_types(), strict=True)]
    if ending == ".vhdr":
        gains = [float(channel["range"]) for channel in raw.info["chs"]]
        stated = brainvision_channels(path)
        found = [Channel(name, "", unit, gain) for (name, unit), gain in zip(stated, gains, strict=True)]
    elif ending == ".set":
        places = eeglab_channels(path) or [(name, "", "") for name in names]
        found = [Channel(name, _known(kind), unit or None, _MICROVOLT) for name, kind, unit in places]
    elif ending == ".cnt":
        found = [Channel(name, "", None, _MICROVOLT) for name in neuroscan_names(path) or names]
    return [replace(channel, bad=name in raw.info["bads"]) for channel, name in zip(found, names, strict=True)]


def with_bids(channels: list[Channel], root: Path, file: str) -> list[Channel]:
    """The channels, with what the `channels.tsv` of a BIDS folder says of those that it names.

    Raises
    ------
    CorpusError
        If it names others than the recording in their place.
    """
    sidecar = find_sidecar(root, file, "channels", ".tsv")
    if sidecar is None:
        return channels
    rows = read_rows(root, sidecar, ("name",))
    count = Counter(row["name"] for row in rows)
    if twice := [name for name, times in count.items() if times > 1]:
        raise CorpusError(
            f"The column name of '{root / sidecar}' has {twice[0]} twice: expected each channel once, found "
            f"{', '.join(row['name'] for row in rows)}."
        )
    stated = {row["name"]: row for row in rows}
    names = [channel.name for channel in channels]
    missing, unknown = [name for name in names if name not in stated], [name for name in stated if name not in names]
    if missing and unknown:
        guess = nearest(unknown[0], missing)
        raise CorpusError(
            f"The column name of '{root / sidecar}' names channels that '{file}' does not have: expected "
            f"{', '.join(missing)}, found {', '.join(unknown)}.",
            f"did you mean {guess!r} by {unknown[0]!r}?" if guess else "names must be the same in both.",
        )
    found = []
    for channel in channels:
        row: dict[str, str] = stated.get(channel.name, {})
        kind, unit = (_stated(row.get(column, "")) for column in ("type", "units"))
        # mne-bids writes V where it does not know the unit
        volts = None if volts_in(unit) == 1.0 else volts_in(unit)
        if volts is not None and not channel.unit and (channel.gain == _MICROVOLT or channel.unit == ""):
            channel = replace(channel, unit=unit)
        elif volts is not None and channel.unit and volts != volts_in(channel.unit):
            channel = replace(channel, other_unit=unit)
        bad = row["status"].lower() == "bad" if "status" in row else channel.bad
        found.append(replace(channel, kind=kind.lower() or channel.kind, bad=bad))
    return found


def _stated(value: str) -> str:
    return "" if value.lower() in ("n/a", "nan") else value


def _known(kind: str) -> str:
    """A type of EEGLAB's, which may be any text."""
    return kind.lower() if kind.lower() in ("eeg", *_OTHER_KINDS) or is_no_eeg_by_name(kind) else ""
