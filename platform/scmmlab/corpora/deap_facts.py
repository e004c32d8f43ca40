"""What is known of DEAP: its channels and the layout of its releases."""

from __future__ import annotations

import re
from typing import Literal

# fmt: off
CHANNELS = (
    "Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1", "Oz", "Pz",
    "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2", "P4", "P8", "PO4", "O2",
)
"""Geneva's order, in which the preprocessed arrays are; MNE's `biosemi32` is Twente's."""
TWENTE_CHANNELS = (
    "Fp1", "AF3", "F7", "F3", "FC1", "FC5", "T7", "C3", "CP1", "CP5", "P7", "P3", "Pz", "PO3", "O1", "Oz",
    "O2", "PO4", "P4", "P8", "CP6", "CP2", "C4", "T8", "FC6", "FC2", "F4", "F8", "AF4", "Fp2", "Fz", "Cz",
)
"""The order in the raw recordings of s01 to s22."""
# fmt: on
TWENTE_SUBJECTS = 22
SUBJECTS = 32
VIDEOS = 40
VIDEO_S = 60
BASELINE_S = 3

SAMPLING_RATE = 128.0
SHAPE = (VIDEOS, 40, (BASELINE_S + VIDEO_S) * 128)
"""Of the preprocessed arrays: videos, channels (the last eight are no EEG), samples."""

RAW_SAMPLING_RATE = 512.0
FIXATION, VIDEO, AFTER, END = 3, 4, 5, 7
"""Codes of the status channel of the raw recordings: what begins there."""

Release = Literal["python", "matlab"]
Source = Literal["python", "matlab", "raw"]
FOLDERS: dict[Source, str] = {
    "python": "data_preprocessed_python",
    "matlab": "data_preprocessed_matlab",
    "raw": "data_original",
}
ENDINGS: dict[Source, str] = {"python": ".dat", "matlab": ".mat", "raw": ".bdf"}
FILE_PATTERN = re.compile(r"s(\d\d)\.(?:dat|mat|bdf)")
