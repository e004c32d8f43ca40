"""`scmmlab export | verify-archive`: a finished study as one file, and the check of such a file on another machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from scmmlab.cli.lasting_places import check_places_of_job
from scmmlab.cli.options import add_study_options, study_of

_SHOWN = 10


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser of all commands."""
    export = subparsers.add_parser(
        "export",
        help="pack a finished study into an archive that can be verified anywhere",
        description="Pack a finished study into one archive: specs, plan, records, results, versions, the tables' "
        "manifests with their fingerprints, report and checksums; no recordings, no features and no names of subjects. "
        "Equal studies give identical archives.",
    )
    add_study_options(export, engine=False)
    export.add_argument("--out", metavar="FILE", required=True, help="archive to write, ending in .tar or .zip")
    export.set_defaults(func=run_export)

    verify = subparsers.add_parser(
        "verify-archive",
        help="check an archive made by scmmlab export",
        description="Check an archive made by scmmlab export, here or elsewhere: the file is unaltered; checksums "
        "and records are intact; keys match specs and fingerprints; plan, results and report tables are reproduced "
        "from the records, byte for byte. Nothing is unpacked into the current folder. Exit status 1 if a check "
        "fails.",
    )
    verify.add_argument("file", metavar="FILE", help="the archive")
    verify.set_defaults(func=run_verify)


def run_export(arguments: argparse.Namespace) -> int:
    """Write the archive whole or not at all."""
    from scmmlab.errors import SpecError, StoreError
    from scmmlab.report.archive import archive_files
    from scmmlab.study.archive_file import SUFFIXES, pack
    from scmmlab.tracking import versions

    check_places_of_job(arguments)
    out = Path(arguments.out)
    if out.suffix not in SUFFIXES:
        raise SpecError(f"Invalid value for '--out': it must end in .tar or .zip, got {arguments.out!r}.")
    if not out.parent.is_dir():
        raise SpecError(f"Invalid value for '--out': there is no folder {out.parent}.")
    study = study_of(arguments, with_notes=False)
    files = archive_files(study.resolved, study.store, versions())
    temporary = out.with_name(f".{out.name}.part")
    try:
        temporary.write_bytes(pack(files, out.suffix))
        temporary.replace(out)
    except OSError as error:
        raise StoreError(f"Cannot write the archive '{out}': {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    print(f"Archive: {out} ({out.stat().st_size:,} bytes, {len(files)} files of study '{study.name}')")
    print(f"         scmmlab verify-archive {out}")
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Print a line for each check."""
    from scmmlab.report.archive import check_archive
    from scmmlab.study.archive_file import odd_bytes, unpack

    path, good = Path(arguments.file), True
    files = unpack(path)
    for check in check_archive(files, odd_bytes(path, files)):
        print(f"{'ok    ' if not check.faults else 'FAILED'}  {check.what}")
        for fault in check.faults[:_SHOWN]:
            print(f"          {fault}")
        if len(check.faults) > _SHOWN:
            print(f"          and {len(check.faults) - _SHOWN} more")
        good = good and not check.faults
    print("The archive is what was exported." if good else "The archive is not what it should be.")
    return 0 if good else 1
