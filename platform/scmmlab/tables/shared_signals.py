"""Where one signal stands twice: within a table, or in two tables, whatever they and their subjects are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scmmlab.corpora import SignalMarks, same_signals
from scmmlab.errors import CorpusError
from scmmlab.tables.checks import number_ranges
from scmmlab.tables.manifest import Manifest


@dataclass(frozen=True)
class _Trial:
    """A trial of a manifest's `signals`."""

    file: str
    subject: int
    session: int
    trial: int
    marks: SignalMarks

    def __str__(self) -> str:
        return f"trial {self.trial} of subject {self.subject}, session {self.session}, in '{self.file}'"


def refuse_repeated_signals(where: str, signals: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse a table in which two trials have one signal, or a part of it.

    Parameters
    ----------
    where : str
        What an error names.
    signals : mapping
        As in the manifest.

    Raises
    ------
    CorpusError
        That names both trials and their files.
    """
    trials = list(_trials(where, signals))
    files = {file: number for number, file in enumerate(signals)}
    pairs = same_signals([trial.marks for trial in trials], [files[trial.file] for trial in trials])
    if pairs:
        first, second = (trials[number] for number in pairs[0])
        others = f", and {len(pairs) - 1} more such pairs" if len(pairs) > 1 else ""
        raise CorpusError(
            f"The same signal stands twice in {where}: expected each trial once, found {second} to have the signal of "
            f"{first}, or a part of it{others}.",
            "one recording may be there in two formats or versions, under two names, or cut into overlapping files; "
            "move one of the two elsewhere, or write the pattern of 'recordings.files' so that it fits one of them.",
        )


def shared_subjects(source: Manifest, target: Manifest) -> tuple[tuple[int, int], ...]:
    """Pairs of a subject of the source and one of the target who are the same person, as far as tables can tell.

    Of one table, or of one public corpus, it is the number that tells. Otherwise it is a raw file or a signal that both
    tables hold, whatever the corpora are called and however they number their subjects. Of tables that lack `signals`,
    those with a raw file in common have the same subjects where numbers or names are the same.

    Parameters
    ----------
    source, target : Manifest
        Of two tables, or of selections of them, whose subjects alone are looked at.

    Returns
    -------
    tuple of (int, int)
        In ascending order.
    """
    both = sorted(set(source.subjects) & set(target.subjects))
    pairs = {(number, number) for number in both}
    if source.fingerprint == target.fingerprint or _one_public_corpus(source, target):
        return tuple(sorted(pairs))
    found: set[tuple[int, int]] = set()
    for source_file, target_file in _shared_files(source, target):
        of_source, of_target = (
            {trial.subject for trial in _trials(side.corpus, {file: side.signals.get(file, {})})}
            for side, file in ((source, source_file), (target, target_file))
        )
        if len(of_source) == len(of_target) == 1:
            found.update((one, other) for one in of_source for other in of_target)
        elif of_source and of_target:
            found.update((number, number) for number in of_source & of_target)
        else:
            found |= pairs
            found.update(
                (one, other)
                for one, name in source.subjects.items()
                for other, other_name in target.subjects.items()
                if name == other_name
            )
    sides = [list(_trials(side.corpus, side.signals)) for side in (source, target)]
    trials, cut = [*sides[0], *sides[1]], len(sides[0])
    groups: dict[tuple[bool, str, int], int] = {}
    of_trial = [
        groups.setdefault((number < cut, trial.file, trial.subject), len(groups)) for number, trial in enumerate(trials)
    ]
    if all(sides):
        found.update(
            (trials[one].subject, trials[other].subject)
            for one, other in same_signals([trial.marks for trial in trials], of_trial, cut)
        )
    return tuple(sorted((a, b) for a, b in found if a in source.subjects and b in target.subjects))


def shared_text(source: Manifest, target: Manifest, pairs: Sequence[tuple[int, int]]) -> str:
    """What source and target have in common, for a message: `are both of corpus 'seed' and share subjects 1-3`."""
    numbers = [number_ranges(sorted(set(side))) for side in zip(*pairs, strict=True)]
    if source.corpus == target.corpus and all(one == other for one, other in pairs):
        return f"are both of corpus '{target.corpus}' and share subjects {numbers[0]}"
    return (
        f"hold the same recordings: subjects {numbers[0]} of '{source.corpus}' are subjects {numbers[1]} of "
        f"'{target.corpus}'"
    )


def _one_public_corpus(source: Manifest, target: Manifest) -> bool:
    """Whether both are of one corpus whose own numbers of subjects every reader keeps, such as SEED or DEAP."""
    readers = [side.provenance.get("reader") for side in (source, target)]
    return source.corpus == target.corpus and all(readers) and "mne" not in readers


def _shared_files(source: Manifest, target: Manifest) -> Iterator[tuple[str, str]]:
    """Raw files of both that have the same bytes."""
    of_target: dict[str, list[str]] = defaultdict(list)
    for file, digest in target.raw_files.items():
        of_target[digest].append(file)
    for file, digest in source.raw_files.items():
        for other in of_target.get(digest, ()):
            yield file, other


def _trials(where: str, signals: Mapping[str, Mapping[str, str]]) -> Iterator[_Trial]:
    for file, of_file in signals.items():
        for name, text in of_file.items():
            try:
                subject, session, trial = map(int, name.split("/"))
                yield _Trial(file, subject, session, trial, SignalMarks.parse(text))
            except ValueError as error:
                raise CorpusError(
                    f"The signals of a manifest ({where}) cannot be read: expected what `corpus build` writes, found "
                    f"{name!r}: {text[:20]!r}.",
                    "build the table again.",
                ) from error
