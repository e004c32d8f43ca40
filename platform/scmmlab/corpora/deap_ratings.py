"""participant_ratings.csv of DEAP: when each subject saw which video, and how it was rated."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from scmmlab.corpora.opening import open_below
from scmmlab.errors import CorpusError

FILE = "participant_ratings.csv"
FOLDERS = ("", "metadata_csv", "metadata", "Metadata")
"""Where it lies: beside the data, or in the folder that the corpus ships it in."""
COLUMNS = ("Participant_id", "Trial", "Experiment_id", "Start_time", "Valence", "Arousal", "Dominance", "Liking")
SCALES = COLUMNS[4:]
VIDEOS = 40


@dataclass(frozen=True)
class Rating:
    """One subject's rating of one video.

    Parameters
    ----------
    trial : int
        The how-manieth video it was for this subject, from 1.
    video : int
        `Experiment_id`, from 1.
    start_time : float
        When it began, in the file's unit.
    scales : tuple of float
        Valence, arousal, dominance, liking, 1 to 9.
    """

    trial: int
    video: int
    start_time: float
    scales: tuple[float, ...]


def find_ratings(root: Path) -> Path | None:
    """The ratings' file below a root, or None."""
    for folder in FOLDERS:
        path = open_below(root, folder, FILE)
        if path.is_file():
            return path
    return None


def read_ratings(path: Path, subject: int) -> dict[int, Rating]:
    """A subject's ratings by video.

    Raises
    ------
    CorpusError
        If a column or a rating is missing, a number is none or out of range, or videos or trials are not 1 to 40 once
        each.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            names = [name.strip() for name in rows.fieldnames or ()]
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise CorpusError(
                    f"{path} has no column {', '.join(missing)}: expected {', '.join(COLUMNS)}, found "
                    f"{', '.join(names) or 'nothing'}."
                )
            rows.fieldnames = names
            ratings = [_rating(path, rows.line_num, row) for row in rows if _is_of(path, rows.line_num, row, subject)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path} cannot be read: expected text with commas, found {error}.") from error
    for what, found in (("videos", [r.video for r in ratings]), ("trials", [r.trial for r in ratings])):
        if sorted(found) != list(range(1, VIDEOS + 1)):
            absent = sorted(set(range(1, VIDEOS + 1)) - set(found))
            raise CorpusError(
                f"The ratings of subject {subject} in {path} are not whole: expected {what} 1 to {VIDEOS} once each, "
                f"found {len(found)} rows{f' without {absent}' if absent and found else ''}."
            )
    return {rating.video: rating for rating in ratings}


def _is_of(path: Path, line: int, row: dict[str, str], subject: int) -> bool:
    return _number(path, line, row, "Participant_id") == subject


def _rating(path: Path, line: int, row: dict[str, str]) -> Rating:
    scales = tuple(_number(path, line, row, name) for name in SCALES)
    for name, value in zip(SCALES, scales, strict=True):
        if not 1 <= value <= 9:
            raise CorpusError(f"{name} is out of range in {path}, line {line}: expected 1 to 9, found {value:g}.")
    whole = [int(_number(path, line, row, name)) for name in ("Trial", "Experiment_id")]
    return Rating(whole[0], whole[1], _number(path, line, row, "Start_time"), scales)


def _number(path: Path, line: int, row: dict[str, str], name: str) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise CorpusError(f"{name} is not a number in {path}, line {line}: expected a number, found {row[name]!r}.")
    return value
