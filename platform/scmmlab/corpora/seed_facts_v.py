"""What is known of SEED-V: trials, their times in the recording, labels."""

from __future__ import annotations

SUBJECTS = 16
# fmt: off
LABELS = (
    (4, 1, 3, 2, 0) * 3,
    (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0),
    (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0),
)
"""Of each trial of each session, as indices into `CLASSES`."""
STARTS = (
    (30, 132, 287, 555, 773, 982, 1271, 1628, 1730, 2025, 2227, 2435, 2667, 2932, 3204),
    (30, 299, 548, 646, 836, 1000, 1091, 1392, 1657, 1809, 1966, 2186, 2333, 2490, 2741),
    (30, 353, 478, 674, 825, 908, 1200, 1346, 1451, 1711, 2055, 2307, 2457, 2726, 2888),
)
"""Second of the raw recording at which each trial of each session begins."""
STOPS = (
    (102, 228, 524, 742, 920, 1240, 1568, 1697, 1994, 2166, 2401, 2607, 2901, 3172, 3359),
    (267, 488, 614, 773, 967, 1059, 1331, 1622, 1777, 1908, 2153, 2302, 2428, 2709, 2817),
    (321, 418, 643, 764, 877, 1147, 1284, 1418, 1679, 1996, 2275, 2425, 2664, 2857, 3066),
)
"""Second at which it ends."""
# fmt: on
CLASSES = ("disgust", "fear", "sad", "neutral", "happy")
NO_EEG = ("M1", "M2", "VEO", "HEO")
"""Channels of the raw recording that are left out."""
SAMPLING_RATE = 1000.0
WINDOW_S = 4.0
