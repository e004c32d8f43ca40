"""Units of signals, however recorders and tables spell them."""

from __future__ import annotations

import re
import unicodedata

_PREFIXES = {
    "": 1.0,
    "m": 1e-3,
    "milli": 1e-3,
    "μ": 1e-6,
    "u": 1e-6,
    "mc": 1e-6,
    "micro": 1e-6,
    "n": 1e-9,
    "nano": 1e-9,
}
_VOLTS = re.compile(rf"({'|'.join(sorted(_PREFIXES, key=len, reverse=True))})(?:v|volts?)")
_MICRO = ("Âµ", "Î¼", "\x83Ê", "¦Ì", "æ", "\ufffd", "?")
"""What becomes of µ where its bytes are read in another code page (UTF-8, Shift JIS, GBK, DOS), or not at all."""
_OTHERS = re.compile(
    r"(°|deg\w*|o)? ?c|°|deg|[nμum]?(s|mho|siemens)|[km]?ohms?|[km]?ω|%|percent|bpm|rpm|hz|g|m?/?s\^?2|m/s.*|n|aru|"
    r"[km]?pa|mmhg|cmh2o|l/min|lux|boolean|bool|bit|[fpn]?t(/c?m)?|k|kelvin|s|ms|sec"
)
"""Quantities that no electrode of the EEG measures; the unit of such a channel tells what it is."""


def volts_in(unit: str) -> float | None:
    """How many volts one of a unit is; None where it is no voltage.

    Capitals tell nothing (`UV` is µV), since nobody records megavolts.
    """
    match = _VOLTS.fullmatch(_plain(unit))
    return _PREFIXES[match[1]] if match else None


def is_no_voltage(unit: str) -> bool:
    """Whether a unit is known, and is one of something else than a voltage."""
    return volts_in(unit) is None and _OTHERS.fullmatch(_plain(unit)) is not None


def _plain(unit: str) -> str:
    """Without padding, brackets and capitals, and with one kind of µ: the letter of the Greek alphabet."""
    for garbled in _MICRO:
        unit = unit.replace(garbled, "μ")
    # the sign (U+00B5) and the letter (U+03BC) look alike
    unit = unicodedata.normalize("NFKC", unit).split("\0")[0].strip().strip("[]()'\" .").lower()
    return re.sub(r"[\s_-]+", "" if "v" in unit else " ", unit)
