"""What is known of SEED-IV: whom its files belong to, trials, labels."""

from __future__ import annotations

_DATES_BY_SESSION = (
    "20160518 20150915 20150919 20151111 20160406 20150507 20150715 20151103 20151028 20151014 20150916 20150725 "
    "20151115 20151205 20150508",
    "20161125 20150920 20151018 20151118 20160413 20150511 20150717 20151110 20151119 20151021 20150921 20150804 "
    "20151125 20151208 20150514",
    "20161126 20151012 20151101 20151123 20160420 20150512 20150721 20151117 20151209 20151023 20151011 20150807 "
    "20161130 20151215 20150527",
)
DATES: dict[int, tuple[int, ...]] = dict(
    enumerate(zip(*([int(day) for day in line.split()] for line in _DATES_BY_SESSION), strict=True), start=1)
)
"""The days of a subject's sessions, in their order."""
# fmt: off
WINDOWS = (
    (42, 23, 49, 32, 22, 40, 38, 52, 36, 42, 12, 27, 54, 42, 64, 35, 17, 44, 35, 12, 28, 28, 43, 34),
    (55, 25, 34, 36, 53, 27, 34, 46, 34, 20, 60, 12, 36, 27, 44, 15, 46, 49, 45, 10, 37, 44, 24, 19),
    (42, 32, 23, 45, 48, 26, 64, 23, 26, 16, 51, 41, 39, 19, 28, 44, 14, 17, 45, 22, 39, 38, 41, 39),
)
"""Windows of 4 s in each trial of each session."""
LABELS = (
    (1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3),
    (2, 1, 3, 0, 0, 2, 0, 2, 3, 3, 2, 3, 2, 0, 1, 1, 2, 1, 0, 3, 0, 1, 3, 1),
    (1, 2, 2, 1, 3, 3, 3, 1, 1, 2, 1, 0, 2, 3, 3, 0, 2, 3, 0, 0, 2, 0, 1, 0),
)
"""Of each trial of each session, as indices into `CLASSES`."""
# fmt: on
CLASSES = ("neutral", "sad", "fear", "happy")
THREE_CLASSES = {"sad": "negative", "neutral": "neutral", "happy": "positive"}
"""SEED-IV's classes as SEED's; fear has none."""
WINDOW_S = 4.0
