"""Files beside the recordings whose bytes also decide what a table holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scmmlab.corpora.lab.formats import parts_of
from scmmlab.corpora.lab.layout import LayoutSpec, ParticipantLabels, TableTrials
from scmmlab.corpora.lab.marks import table_file
from scmmlab.corpora.lab.recordings import LabRecording, find_recordings
from scmmlab.corpora.opening import open_below

_SIDECARS = ("*_channels.tsv", "*_events.tsv", "*_scans.tsv", "*_eeg.json", "*_meg.json", "*_ieeg.json")
"""What mne-bids reads beside a recording, or in a folder above it, that bears on channels, trials or dates."""


def find_companions(layout: LayoutSpec, root: Path) -> tuple[str, ...]:
    """All of them, relative to the root, each once and in the order of their names.

    Raises
    ------
    CorpusError
        If a recording lacks a part, or one lies outside `root`.
    """
    found: set[str] = set()
    recordings = find_recordings(layout.recordings, root)
    for recording in recordings:
        found.update(parts_of(root, recording.file))
        if isinstance(layout.trials, TableTrials):
            found.add(table_file(layout.trials, recording))
        if layout.recordings.bids is not None:
            found.update(_sidecars(root, recording))
    if isinstance(layout.labels, ParticipantLabels):
        found.add(layout.labels.file)
    files = {recording.file for recording in recordings}
    return tuple(sorted(file for file in found - files if open_below(root, file).is_file()))


def _sidecars(root: Path, recording: LabRecording) -> Iterator[str]:
    for folder in PurePosixPath(recording.file).parents:
        for pattern in _SIDECARS:
            # at the top their names need not begin with anything: events.tsv, task-rest_eeg.json
            for path in (root / folder).glob(pattern.replace("*_", "*")):
                yield path.relative_to(root).as_posix()
