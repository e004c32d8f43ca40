"""`scmmlab corpus`: list the corpora, check one, build its feature table, fake one, show a table."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from scmmlab.cli.lasting_places import check_places_of_job
from scmmlab.cli.progress_line import ProgressLine
from scmmlab.config.code_digest import edited_code
from scmmlab.config.overrides import apply_override
from scmmlab.config.problems import SpecT, raise_problems, validate
from scmmlab.config.yaml_text import parse_yaml
from scmmlab.corpora import Finding, Reader, RecordingSummary, SyntheticSpec, summarize
from scmmlab.corpora.fakes import FAKES, fake_class, write_fake
from scmmlab.corpora.lab import read_layout
from scmmlab.corpora.registry import READERS, reader_class
from scmmlab.errors import SpecError
from scmmlab.features import FeatureSpec
from scmmlab.tables import (
    FeatureTable,
    FileMapper,
    Outcome,
    build_table,
    map_here,
    read_manifest,
    read_table,
    shipped_tables,
    write_synthetic_table,
)


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add `corpus` and its commands."""
    parser = subparsers.add_parser("corpus", help="check corpora, and build, fake or show feature tables")
    commands = parser.add_subparsers(dest="corpus_command", metavar="COMMAND", required=True)

    command = commands.add_parser("list", help="list the corpora that can be read, and what each needs")
    command.set_defaults(func=list_corpora)

    command = commands.add_parser("check", help="check a corpus on disk, fact by fact, without building a table")
    command.add_argument("name", metavar="NAME", help="a corpus of `scmmlab corpus list`")
    command.add_argument("--root", required=True, metavar="DIR", help="the corpus's folder")
    command.add_argument("--verbose", action="store_true", help="also print the facts that hold")
    _add_reader_settings(command)
    command.set_defaults(func=check)

    command = commands.add_parser("build", help="build a feature table from a corpus on disk")
    command.add_argument("name", metavar="NAME", help="a corpus of `scmmlab corpus list`")
    command.add_argument("--root", required=True, metavar="DIR", help="the corpus's folder")
    command.add_argument("--out", required=True, metavar="DIR", help="folder or URI of the feature table")
    command.add_argument(
        "--engine", choices=("ray", "local"), default="ray", help="where files are read (default: ray)"
    )
    command.add_argument("--force", action="store_true", help="overwrite an existing feature table")
    _add_reader_settings(command)
    command.set_defaults(func=build)

    command = commands.add_parser(
        "fake", help="make a synthetic feature table, or a folder in the file formats of a corpus"
    )
    command.add_argument("name", metavar="NAME", nargs="?", help=f"a corpus to imitate: {', '.join(FAKES)}")
    command.add_argument(
        "--out", required=True, metavar="DIR", help="folder or URI of the table, or folder of the fake"
    )
    command.add_argument("--force", action="store_true", help="overwrite an existing feature table")
    command.add_argument("--small", action="store_true", help="with NAME: the smallest corpus that its reader accepts")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the fake; may be repeated"
    )
    for name, field in SyntheticSpec.model_fields.items():
        shown = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        help_text = f"{field.description} (default {shown})".replace("%", "%%")
        command.add_argument(f"--{name.replace('_', '-')}", dest=f"spec_{name}", metavar="VALUE", help=help_text)
    command.set_defaults(func=fake)

    command = commands.add_parser("show", help="show the facts of a feature table")
    command.add_argument("table", metavar="TABLE", help="folder or URI, or shipped:NAME")
    command.set_defaults(func=show)


def list_corpora(arguments: argparse.Namespace) -> int:
    """Print the readers and the tables that come with scmmlab."""
    for reader in READERS.values():
        print(f"{reader.name}: {reader.summary}")
        _print_facts(
            [
                ("needs", reader.needs),
                ("licence", reader.licence),
                *(
                    (f"--{name} FILE", field.description)
                    if field.is_required()
                    else (f"--set {name}=", f"{field.default}")
                    for name, field in reader.model_fields.items()
                ),
            ]
        )
        print()
    print("Tables that come with scmmlab:")
    for name in shipped_tables():
        manifest = read_manifest(f"shipped:{name}")
        print(f"  shipped:{name}  {manifest.windows} windows, {len(manifest.subjects)} subjects")
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Print what is wrong with a corpus on disk, and what to do about it; 1 where something is."""
    reader, _ = _reader(arguments)
    root = Path(arguments.root).expanduser().absolute()
    wrong = facts = files = left_out = 0
    whose: list[RecordingSummary] = []
    for where, found in groupby(reader.check(root), key=lambda finding: finding.where):
        findings = list(found)
        bad = sum(not finding.ok for finding in findings)
        gaps = [finding.left_out for finding in findings if finding.left_out]
        findings = [finding for finding in findings if not finding.left_out]
        whose += [finding.summary for finding in findings if finding.summary]
        files, facts, wrong = files + bool(findings), facts + len(findings), wrong + bad
        left_out += len(gaps)
        if findings:
            print(f"{'wrong' if bad else 'ok':<6}{where}  ({bad or len(findings)} of {len(findings)} facts)")
        for finding in findings:
            if arguments.verbose or not finding.ok:
                _print_finding(finding)
        for each in gaps:
            place = "" if findings or where == "." else f"{where}: "
            print(f"      left out: {place}{each.what} ({each.why})")
    _print_recordings(whose, all_of_them=arguments.verbose)
    said = f"; left out: {left_out}, each named above" if left_out else ""
    print(f"{facts} facts checked in {files} places: {f'{wrong} do not hold' if wrong else 'all hold'}{said}.")
    return 1 if wrong else 0


def build(arguments: argparse.Namespace) -> int:
    """Build a feature table."""
    check_places_of_job(arguments)
    reader, features = _reader(arguments)
    if note := edited_code("tables"):
        print(f"Note: {note}", file=sys.stderr)
    outcome = build_table(
        reader,
        arguments.root,
        arguments.out,
        features,
        force=arguments.force,
        mapper=_mapper(arguments.engine),
        progress=ProgressLine("Reading files"),
    )
    _print_outcome(outcome, arguments.out)
    return 0


def fake(arguments: argparse.Namespace) -> int:
    """Make a synthetic corpus: a feature table, or a folder in the file formats of a corpus."""
    values: dict[str, Any] = {}
    for name, field in SyntheticSpec.model_fields.items():
        text = getattr(arguments, f"spec_{name}")
        if text is not None and isinstance(field.default, tuple):
            values[name] = [part.strip() for part in text.split(",")]
        elif text is not None:
            values[name] = text if isinstance(field.default, str) else parse_yaml(text, f"--{name}")
    for text in arguments.set:
        apply_override(values, text)
    if arguments.small:
        values["small"] = True
    if arguments.name is None:
        spec = _checked(SyntheticSpec, values, "the options of `corpus fake`")
        _print_outcome(write_synthetic_table(spec, arguments.out, arguments.force), arguments.out)
        return 0
    fake_corpus = _checked(fake_class(arguments.name), values, f"the options of `corpus fake {arguments.name}`")
    files = 0
    for files, path in enumerate(write_fake(fake_corpus, Path(arguments.out)), start=1):  # noqa: B007
        print(path, file=sys.stderr, flush=True)
    print(f"Written: {arguments.out} has {files} files in the formats of '{arguments.name}', all made up.")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Print what a table says about itself, and how many windows it has of whom."""
    table = read_table(arguments.table)
    manifest = table.manifest
    provenance = dict(manifest.provenance)
    notes = provenance.pop("notes", [])
    bands = ", ".join(f"{name} {low:g}-{high:g}" for name, (low, high) in manifest.bands.items())
    print(f"{manifest.corpus} ({arguments.table})")
    _print_facts(
        [
            ("windows", f"{manifest.windows} of {manifest.window_s:g} s"),
            ("subjects", str(len(manifest.subjects))),
            ("channels", f"{len(manifest.channels)}: {' '.join(manifest.channels)}"),
            ("bands", f"{bands} Hz"),
            ("classes", ", ".join(manifest.classes)),
            ("feature", f"{manifest.feature} in {manifest.unit}"),
            *((key.replace("_", " "), _one_line(value)) for key, value in provenance.items()),
            *(("note", note) for note in notes),
            *(("left out", line) for line in summarize(manifest.left_out)),
            ("raw files", str(len(manifest.raw_files)) if manifest.raw_files else None),
            ("files beside them", ", ".join(manifest.companions) or None),
            ("licence", manifest.licence),
            ("cite", manifest.attribution),
            ("fingerprint", manifest.fingerprint),
        ]
    )
    print()
    _print_windows(table)
    return 0


def _add_reader_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--source", choices=("features", "raw"), help="what to read if the corpus has both")
    command.add_argument("--layout", metavar="FILE", help="for mne: describes the recordings (docs/corpora.md)")
    command.add_argument(
        "--smoothing",
        choices=("none", "moving_average", "lds"),
        help="smoothing of the features, shipped or computed from signals",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the corpus, or of the features, e.g. features.window_s=2; may be repeated",
    )


def _reader(arguments: argparse.Namespace) -> tuple[Reader, FeatureSpec | None]:
    """The reader that the options describe, and how features are computed, where that is said."""
    reader_type = reader_class(arguments.name)
    values: dict[str, Any] = {}
    if arguments.layout is not None:
        values["layout"] = read_layout(arguments.layout)
    elif "layout" in reader_type.model_fields:
        raise SpecError(
            f"'{arguments.name}' needs a layout: expected --layout FILE, found none.",
            "docs/corpora.md has an example of such a file.",
        )
    for text in arguments.set:
        apply_override(values, text)
    features = values.pop("features", None)
    where = f"the settings of '{arguments.name}'"
    if arguments.source is not None:
        values["source"] = arguments.source
    reader = _checked(reader_type, values, where)
    if arguments.smoothing is not None:
        # shipped features were smoothed by the corpus's authors, and the reader chooses; ours are smoothed here
        if reader.feature_origin is not None:
            reader = _checked(reader_type, {**values, "smoothing": arguments.smoothing}, where)
        else:
            features = {**(features or {}), "smoothing": arguments.smoothing}
    return reader, None if features is None else _checked(FeatureSpec, features, "--set features")


def _print_finding(finding: Finding) -> None:
    print(f"      {finding.fact}")
    _print_facts(
        [
            ("    expected", finding.expected),
            ("    found", finding.found),
            ("    remedy", None if finding.ok else finding.remedy),
        ]
    )


def _mapper(engine: str) -> FileMapper:
    if engine == "local":
        return map_here
    from scmmlab.execution.ray.requirements import check_ray

    check_ray(os.environ)
    # Ray takes seconds to import; the other commands do without
    from scmmlab.execution.ray.corpus_build import map_on_ray
    from scmmlab.execution.ray.session_folder import check_ray_folder

    check_ray_folder(os.environ)
    return map_on_ray


def _checked(model: type[SpecT], values: object, where: str) -> SpecT:
    spec, problems = validate(model, values)
    raise_problems((problem, where) for problem in problems)
    assert spec is not None
    return spec


def _print_outcome(outcome: Outcome, location: str) -> None:
    manifest = outcome.manifest
    for note in manifest.provenance.get("notes", []):
        print(f"Note: {note}.")
    for line in summarize(manifest.left_out):
        print(f"Left out: {line}.")
    reason = f" ({outcome.reason})" if outcome.reason else ""
    print(
        f"{outcome.status.capitalize()}{reason}: {location} has {manifest.windows} windows of "
        f"{len(manifest.subjects)} subjects of '{manifest.corpus}', fingerprint {manifest.fingerprint[:16]}."
    )


def _print_facts(facts: Iterable[tuple[str, str | None]]) -> None:
    present = [(name, value) for name, value in facts if value]
    if not present:
        return
    width = max(len(name) for name, _ in present)
    for name, value in present:
        print(f"  {name:<{width}}  {value}")


def _print_windows(table: FeatureTable) -> None:
    """Windows of each subject by class, and how many trials they come from."""
    classes = table.manifest.classes
    rows: list[Sequence[str]] = [("subject", "sessions", "trials", *classes)]
    for subject in np.unique(table.subject).tolist():
        of_subject = table.subject == subject
        sessions = table.session[of_subject]
        trials = np.unique(np.stack([sessions, table.trial[of_subject]]), axis=1).shape[1]
        counts = np.bincount(table.label[of_subject], minlength=len(classes))
        rows.append([str(number) for number in (subject, len(np.unique(sessions)), trials, *counts)])
    totals = np.bincount(table.label, minlength=len(classes))
    rows.append(("all", "", "", *(str(number) for number in totals)))
    _print_columns(rows)


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)))


_MOST_SUBJECTS = 20
"""Lines of the table of subjects, unless all are asked for."""


def _print_recordings(recordings: Sequence[RecordingSummary], all_of_them: bool) -> None:
    """Subjects as the corpus names them, with their numbers, sessions, runs and trials by class."""
    if not recordings:
        return
    classes = list(recordings[0].trials)
    of_subject: dict[int, list[RecordingSummary]] = {}
    for each in sorted(recordings, key=lambda each: (each.subject, each.session, each.run)):
        of_subject.setdefault(each.subject, []).append(each)
    rows: list[Sequence[str]] = [("named", "subject", "sessions", "recordings", *classes)]
    for subject, own in of_subject.items():
        sessions = {each.session: each.session_name for each in own}
        named = ", ".join(
            name if name == str(number) else f"{name} → {number}" for number, name in list(sessions.items())[:4]
        )
        counts = [str(sum(each.trials[name] for each in own)) for name in classes]
        more = f" … ({len(sessions)})" if len(sessions) > 4 else ""
        rows.append((own[0].name, str(subject), named + more, str(len(own)), *counts))
    left = len(rows) - 1 - _MOST_SUBJECTS
    if left > 0 and not all_of_them:
        rows = rows[: _MOST_SUBJECTS + 1]
    print("\nSubjects, and trials by class:")
    _print_columns(rows)
    if left > 0 and not all_of_them:
        print(f"  … and {left} more subjects; --verbose shows all.")
    print()


def _one_line(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_one_line(part)}" for key, part in value.items())
    if isinstance(value, list):
        return " ".join(_one_line(part) for part in value)
    return str(value)
