"""What a layout file may say about a lab's own corpus."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from scmmlab.config import Spec
from scmmlab.config.problems import raise_problems, show, validate
from scmmlab.config.yaml_text import parse_yaml
from scmmlab.errors import SpecError

FIELD = re.compile(r"\{([a-z_]+)\}")
"""A field of a file pattern."""
KINDS = {"d": r"\d+", "w": r"[^\W_]+"}
"""What a field of a recording's name may stand for, as in `{session:d}`: digits alone, or letters and digits."""
_KIND = re.compile(rf":[{''.join(KINDS)}]\}}")
BIDS_FIELDS = ("subject", "session", "task", "acquisition", "run", "processing", "recording", "space")
"""The entities of a BIDS name that can be told apart."""


def _check_pattern(pattern: str) -> None:
    path = PurePosixPath(pattern)
    bare = FIELD.sub("", pattern)
    if path.is_absolute() or ".." in path.parts or "\\" in pattern or not pattern:
        raise ValueError(f"must be a path below --root, with '/' and without '..', got {pattern!r}")
    if "{" in bare or "}" in bare:
        raise ValueError(f"must have its fields as in '{{subject}}', of small letters and '_', got {pattern!r}")


class BidsSpec(Spec):
    """Which recordings of a BIDS folder."""

    task: str | None = None
    """Of this task; of all when absent."""
    datatype: Literal["eeg", "meg", "ieeg"] = "eeg"
    """In the folders of this name."""
    suffix: str | None = None
    """At the end of the files' names, before the dot; the datatype when absent."""
    only: dict[str, str | None] = Field({})
    """Entities of a file's name, as they are written there, and the value that each must have: `{desc: clean}`, or
    `{desc: null}` for names without one. `ending: .edf` chooses between formats."""


class RecordingsSpec(Spec):
    """Which files are recordings, and whose: a file pattern, or a BIDS folder."""

    files: str | None = None
    """Path below --root, with fields: `"sub{subject}/day{session}_run{run}.vhdr"`, in quotes in YAML. A field stands
    for any text without `/`, `{session:d}` for digits alone, `{subject:w}` for letters and digits alone. `{subject}`
    must be there; `{session}` and `{run}` may be, and others, which `labels` can use."""
    bids: BidsSpec | None = None
    """In place of `files`; `{}` takes all that is EEG."""
    order: Literal["name", "date"] = "name"
    """How sessions, and the runs in them, follow each other: as their names do, numbers as numbers, or by the date and
    time that the recordings state."""
    encoding: str = "utf-8"
    """Code page of the annotations of EDF+ and BDF+: UTF-8 as the format has it, or `latin1` as some recorders do."""
    accept_incomplete: bool = False
    """Take the whole data records of EDF and BDF files that state no number of them (-1), break off, or go on behind
    the last one; the manifest has a note."""

    @model_validator(mode="after")
    def _check_source(self) -> RecordingsSpec:
        try:
            b"".decode(self.encoding)
        except LookupError:
            raise ValueError(f"must have an 'encoding' that Python knows, got {self.encoding!r}") from None
        if (self.files is None) == (self.bids is None):
            raise ValueError("must have either 'files' or 'bids'")
        if self.files is not None:
            _check_pattern(_KIND.sub("}", self.files))
            if "subject" not in self.fields:
                raise ValueError(f"must say in 'files' where the {{subject}} stands, got {self.files!r}")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that recordings are told apart by, in their order."""
        return BIDS_FIELDS if self.files is None else tuple(dict.fromkeys(FIELD.findall(_KIND.sub("}", self.files))))


class SignalSpec(Spec):
    """What is taken of a recording's signals. Names of channels are those of the recording until `rename`."""

    channels: tuple[str, ...] | None = None
    """Names after `rename`, in the order that the table gets; when absent all EEG: what the recording says is EEG, and
    where it does not say, what has no name of something else (ECG, HEOG, EXG1, …). They must be the same in each."""
    rename: dict[str, str] = Field({})
    """From names in the recordings to names in the table, such as `T3: T7`."""
    drop: tuple[str, ...] = ()
    """Channels that are EEG and left out where `channels` is absent, by names after `rename`."""
    reference: Literal["recorded", "average"] = "recorded"
    """As recorded, or the mean of the channels taken."""
    reference_channels: tuple[str, ...] = ()
    """In place of `reference`: the mean of those named, such as `[M1, M2]`, which are then left out."""
    scale: float | None = Field(None, gt=0)
    """Factor on the signal of channels for which a recording states no voltage; others are left as they are. EDF and
    BDF without a unit count as V, so that 1e-6 is right for numbers in µV; EEGLAB, CNT and BrainVision as µV."""
    sampling_rate: float | None = Field(None, gt=0)
    """What each recording must have, in Hz; any when absent. BrainVision states the time between samples in µs, often
    rounded: 3906 is taken for 256 Hz where this says so."""
    notch: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Frequencies that are filtered out, in Hz, such as `[50]` for the mains; bands end at 50 Hz by default."""

    @model_validator(mode="after")
    def _check_names(self) -> SignalSpec:
        for field, names in (("channels", self.channels or ()), ("reference_channels", self.reference_channels)):
            if len({name.lower() for name in names}) < len(names):
                raise ValueError(f"must have {field!r} that differ in more than capitals, got {list(names)}")
        return self


class _TrialsSpec(Spec):
    skip_s: float = Field(0.0, ge=0)
    """Left out at the start of each trial, in s: a baseline, for example."""
    block_s: float | None = Field(None, gt=0)
    """Cuts each trial into blocks of so many s that stand as trials, the last one taking the remainder: for long
    recordings of one class each, and for protocols that need several trials a class."""
    at_gaps: Literal["refuse", "cut", "drop"] = "refuse"
    """What becomes of a trial that goes over a gap in the signal: an error, its end at the gap, or left out."""
    bad: Literal["drop_windows", "ignore"] = "drop_windows"
    """What becomes of windows that an annotation `BAD…` overlaps: left out, or taken all the same."""


class _TimedSpec(_TrialsSpec):
    length: Literal["stated", "until_next"] = "stated"
    """As long as the recording or the table states, or until the next mark."""
    seconds: float | None = Field(None, gt=0)
    """In place of `length`: so many s from the mark on."""


class _MarkedSpec(_TimedSpec):
    starts: tuple[str | int, ...] | None = None
    """Marks that start a trial; when absent those that `labels` has a class for, or all where labels come from
    elsewhere."""
    ends: tuple[str | int, ...] = ()
    """With `until_next`: marks that end a trial, next to the start of another; any mark when empty."""


class AnnotationTrials(_MarkedSpec):
    """Trials from the annotations, markers or events that a recording holds."""

    kind: Literal["annotations"] = "annotations"
    """Where trials come from."""


class StatusTrials(_MarkedSpec):
    """Trials from the codes of a status (trigger) channel."""

    kind: Literal["status"] = "status"
    """Where trials come from."""
    channel: str = "Status"
    """The channel's name in the recording."""
    mask: int = Field(255, ge=1)
    """The bits that hold the code; others are ignored. 0 is no mark."""
    length: Literal["stated", "until_next"] = "until_next"
    """A code states no length: until the next one, unless `seconds` says otherwise."""

    @model_validator(mode="after")
    def _check_length(self) -> StatusTrials:
        if self.length == "stated" and self.seconds is None:
            raise ValueError("must have 'length: until_next' or 'seconds', because codes state no length")
        return self


class EventTrials(_MarkedSpec):
    """Trials from the `events.tsv` beside each recording of a BIDS folder."""

    kind: Literal["events"] = "events"
    """Where trials come from."""
    column: str = "trial_type"
    """The column that says what an event is."""


class TableTrials(_TimedSpec):
    """Trials from a table, CSV or TSV, a row a trial."""

    kind: Literal["table"] = "table"
    """Where trials come from."""
    file: str
    """Path below --root; fields of the recording's name may stand in it, as in `logs/{subject}.csv`."""
    match: dict[str, str] = Field({})
    """Which rows belong to a recording: field of its name → column, such as `subject: participant`. The field `file`
    is the recording's path below --root, or its name."""
    onset: str = "onset"
    """Column of the trial's start, in s from the start of the recording."""
    duration: str = "duration"
    """Column of its length in s, where `length` is `stated`."""
    decimal: Literal[".", ","] | None = None
    """What stands before the decimals of its numbers; when absent a comma where all numbers of a column have one."""

    @model_validator(mode="after")
    def _check_file(self) -> TableTrials:
        _check_pattern(self.file)
        if not self.match and not FIELD.search(self.file):
            raise ValueError("must say with 'match', or with fields in 'file', which rows belong to which recording")
        return self


class FileTrials(_TrialsSpec):
    """One whole recording is one trial."""

    kind: Literal["file"] = "file"
    """Where trials come from."""


class ClassSpec(Spec):
    """A class, and the values that stand for it: those named, or a range of numbers."""

    name: str = Field(min_length=1)
    """Name of the class."""
    values: tuple[str | int | float, ...] = ()
    """Values that stand for the class; `1` and `1.0` are the same."""
    at_least: float | None = None
    """Numbers from here on stand for the class, as of a rating."""
    below: float | None = None
    """Numbers up to here, and not this one."""

    @model_validator(mode="after")
    def _check_values(self) -> ClassSpec:
        has_range = self.at_least is not None or self.below is not None
        if bool(self.values) == has_range:
            raise ValueError("must have either 'values' or a range ('at_least', 'below' or both)")
        if self.at_least is not None and self.below is not None and self.at_least >= self.below:
            raise ValueError(f"must have 'at_least' lower than 'below', got {self.at_least:g} and {self.below:g}")
        return self


class _LabelsSpec(Spec):
    classes: tuple[ClassSpec, ...] = Field(min_length=2)
    """The classes, in the order of their labels."""
    others: Literal["leave_out", "refuse"] = "leave_out"
    """What becomes of trials, recordings and subjects whose value stands for no class: left out and named, or an error
    that names the first."""

    @model_validator(mode="after")
    def _check_classes(self) -> _LabelsSpec:
        names = [each.name for each in self.classes]
        values = [str(value) for each in self.classes for value in each.values]
        for what, found in (("names", names), ("values", values)):
            if len(set(found)) != len(found):
                raise ValueError(f"must have {what} of its own for each class, got {found}")
        return self


class DescriptionLabels(_LabelsSpec):
    """By what a mark says: its description, its code, or an event's `column`."""

    kind: Literal["description"] = "description"
    """Where labels come from."""


class ColumnLabels(_LabelsSpec):
    """By a column of the table, or of `events.tsv`, that trials come from."""

    kind: Literal["column"] = "column"
    """Where labels come from."""
    column: str
    """Its name."""


class FieldLabels(_LabelsSpec):
    """By a field of the recording's name: all its trials have one class."""

    kind: Literal["field"] = "field"
    """Where labels come from."""
    field: str
    """Its name, such as `condition` where `files` has `{condition}`."""


class ParticipantLabels(_LabelsSpec):
    """By a column of a table of the subjects, such as BIDS's `participants.tsv`: all trials of one have one class."""

    kind: Literal["participant"] = "participant"
    """Where labels come from."""
    column: str
    """The column of the value."""
    file: str = "participants.tsv"
    """Path below --root."""
    subject: str = "participant_id"
    """The column of the subject, with or without `sub-`."""
    decimal: Literal[".", ","] | None = None
    """What stands before the decimals of its numbers; when absent a comma where all numbers of a column have one."""

    @model_validator(mode="after")
    def _check_file(self) -> ParticipantLabels:
        _check_pattern(self.file)
        return self


TrialsSpec = Annotated[
    AnnotationTrials | StatusTrials | EventTrials | TableTrials | FileTrials, Field(discriminator="kind")
]
LabelsSpec = Annotated[DescriptionLabels | ColumnLabels | FieldLabels | ParticipantLabels, Field(discriminator="kind")]


class LayoutSpec(Spec):
    """A lab's own corpus: what its files are, and where its trials and labels come from."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.\-]+$")
    """Name of the corpus in tables."""
    recordings: RecordingsSpec
    """Which files, of which subjects and sessions."""
    signal: SignalSpec = SignalSpec()
    """Which channels, in which form."""
    trials: TrialsSpec
    """Where the trials lie in a recording."""
    labels: LabelsSpec
    """Which class each trial has."""

    @model_validator(mode="after")
    def _check_sources(self) -> LayoutSpec:
        trials, labels, fields = self.trials, self.labels, self.recordings.fields
        if trials.kind == "events" and self.recordings.bids is None:
            raise ValueError("must have 'recordings.bids' for trials of kind 'events'")
        if labels.kind == "description" and not isinstance(trials, _MarkedSpec):
            raise ValueError(f"cannot have labels of kind 'description', because trials of '{trials.kind}' have none")
        if labels.kind == "column" and trials.kind not in ("events", "table"):
            raise ValueError(f"cannot have labels of kind 'column', because trials of '{trials.kind}' have none")
        used = [labels.field] if isinstance(labels, FieldLabels) else []
        if isinstance(trials, TableTrials):
            used += [*FIELD.findall(trials.file), *(name for name in trials.match if name != "file")]
        for name in used:
            if name not in fields:
                raise ValueError(f"has no field {name!r} in the names of its recordings, only {', '.join(fields)}")
        return self


def read_layout(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a layout file, once it is known to be a `LayoutSpec`.

    Parameters
    ----------
    path : path
        A YAML file.

    Raises
    ------
    SpecError
        Names the file, the dotted path, what is allowed and what arrived; all problems of the file in one message.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "bytes that are no text in UTF-8"
        raise SpecError(f"Cannot read the layout {path}: expected a YAML file, found {found}.") from None
    content = parse_yaml(text, str(path))
    if not isinstance(content, dict):
        raise SpecError(f"A layout must be a mapping of keys to values, got {show(content)} in {path}.")
    raise_problems(((problem, str(path)) for problem in validate(LayoutSpec, content)[1]), what="layout")
    return content
