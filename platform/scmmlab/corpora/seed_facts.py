"""What is known of SEED: whom its files belong to, trials, labels, channels."""

from __future__ import annotations

# fmt: off
CHANNELS = (
    "FP1", "FPZ", "FP2", "AF3", "AF4", "F7", "F5", "F3", "F1", "FZ", "F2", "F4", "F6", "F8", "FT7", "FC5", "FC3", "FC1",
    "FCZ", "FC2", "FC4", "FC6", "FT8", "T7", "C5", "C3", "C1", "CZ", "C2", "C4", "C6", "T8", "TP7", "CP5", "CP3", "CP1",
    "CPZ", "CP2", "CP4", "CP6", "TP8", "P7", "P5", "P3", "P1", "PZ", "P2", "P4", "P6", "P8", "PO7", "PO5", "PO3", "POZ",
    "PO4", "PO6", "PO8", "CB1", "O1", "OZ", "O2", "CB2",
)
"""The order of the rows in SEED, SEED-IV and SEED-V."""
DATES: dict[int, tuple[int, ...]] = {
    1: (20131027, 20131030, 20131107), 2: (20140404, 20140413, 20140419), 3: (20140603, 20140611, 20140629),
    4: (20140621, 20140702, 20140705), 5: (20140411, 20140418, 20140506), 6: (20130712, 20131016, 20131113),
    7: (20131027, 20131030, 20131106), 8: (20140511, 20140514, 20140521), 9: (20140620, 20140627, 20140704),
    10: (20131130, 20131204, 20131211), 11: (20140618, 20140625, 20140630), 12: (20131127, 20131201, 20131207),
    13: (20140527, 20140603, 20140610), 14: (20140601, 20140615, 20140627), 15: (20130709, 20131016, 20131105),
}
"""The days of a subject's sessions, in their order."""
PREFIXES = {
    1: "djc", 2: "jl", 3: "jj", 4: "lqj", 5: "ly", 6: "mhw", 7: "phl", 8: "sxy", 9: "wk", 10: "ww", 11: "wsf",
    12: "wyw", 13: "xyl", 14: "ys", 15: "zjy",
}
"""What the names of a subject's raw variables begin with."""
SECONDS = (235, 233, 206, 238, 185, 195, 237, 216, 265, 237, 235, 233, 235, 238, 206)
"""Length of each trial, the same in every session."""
LABELS = (1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1)
"""As in label.mat: -1 negative, 0 neutral, 1 positive; the same in every session."""
# fmt: on
BANDS = {"delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 14.0), "beta": (14.0, 31.0), "gamma": (31.0, 50.0)}
CLASSES = ("negative", "neutral", "positive")
SAMPLING_RATE = 200.0
