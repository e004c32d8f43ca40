"""A finished study as the files of an archive, and the proof that such files belong together.

README.txt                       what this is, and how to check it
study.yaml                       the study, its tables by their names in here
tables/NAME/manifest.json        what each table is, with its fingerprint; no features, no recordings, nobody's name
store/cells/KEY.json             the record of each cell, or
store/studies/NAME/trials/*.json of each setting of a sweep
versions.json                    what computed it; attempts.json, where several versions of something did, which what
plan.json results.csv results_by_subject.csv report/    what follows from those above, and can be made again
SHA256SUMS                       of all others, as sha256sum writes and checks it
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from scmmlab.config import AblationSpec, ExperimentSpec, StudySpec, SweepSpec, study_yaml
from scmmlab.config.code_digest import KEYS_VERSION, NUMERICS_VERSION, installed_code
from scmmlab.config.yaml_text import parse_yaml
from scmmlab.errors import ScmmlabError, StoreError
from scmmlab.report.collect import collect_results
from scmmlab.report.write import write_report
from scmmlab.study import (
    CellState,
    Plan,
    ResultStore,
    cell_key,
    is_complete,
    make_plan,
    result_rows,
    rows_csv,
    search_key,
    search_records,
    settled_records,
    study_status,
    trial_rows,
)
from scmmlab.study.attempts import by_versions, ended_names
from scmmlab.study.objects import DamagedError, from_json, to_json
from scmmlab.tables import Manifest

SUMS = "SHA256SUMS"
_NAMED = 5
"""So many cells are named where an archive lacks them."""
_DERIVED_TEXT = ("plan.json", "results.csv", "results_by_subject.csv", "report/report.md", "report/tables.tex")

ArchiveFiles = dict[str, bytes]


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    what: str
    """In words."""
    faults: tuple[str, ...]
    """What is not as it should be, a line each."""


def archive_files(plan: Plan, store: ResultStore, versions: Mapping[str, str]) -> ArchiveFiles:
    """The files of a finished study, by name. Equal studies give equal files; no place of this machine is in them.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Where it is finished.
    versions : mapping of str to str
        What computed it, where the store does not say.

    Raises
    ------
    StoreError
        If something of the study is missing.
    """
    study = plan.study
    if not is_complete(plan, store):
        raise StoreError(
            f"Study '{study.name}' is not finished in {store.uri}: expected all of it for an archive, found "
            f"{_how_far(plan, store)}.",
            "scmmlab run runs what is missing, scmmlab status says why something failed",
        )
    names = _names_of_tables(plan)
    files: ArchiveFiles = {"README.txt": _readme(study.name).encode()}
    files["study.yaml"] = study_yaml(_with_tables(study, names)).encode()
    for location, manifest in plan.manifests.items():
        text = json.dumps(_without_names(manifest).model_dump(mode="json"), indent=2, ensure_ascii=False)
        files[f"{names[location]}/manifest.json"] = f"{text}\n".encode()
    attempts = by_versions(store.study_folder(study.name), sorted(ended_names(plan, store)))
    files["versions.json"] = _json(attempts[-1][0] or dict(versions))
    if len(attempts) > 1:
        files["attempts.json"] = _json([{"versions": by, "computed": names} for by, names in attempts])
    if isinstance(study, SweepSpec):
        search_records(plan, store)  # refuses those of another search
        for trial, record in store.study_folder(study.name).trials().items():
            files[f"store/studies/{study.name}/trials/{trial}.json"] = to_json("trial", trial, record)
    else:
        for key, cell in plan.distinct.items():
            found = store.get_cell(key)
            assert found is not None, "a complete study has all records"
            # cells of other studies may have found the same tables elsewhere
            for side, table in (("source", cell.transfer.source.table), ("target", cell.transfer.target.table)):
                found["transfer"][side]["table"] = names[table]
            files[f"store/cells/{key}.json"] = to_json("cells", key, found)
    files |= _derived(files)
    files[SUMS] = _sums(files)
    return files


def check_archive(files: Mapping[str, bytes], odd: str | None = None) -> Iterator[Check]:
    """Check the files of an archive, one thing after the other; after one that fails, those that need it are left out.

    Parameters
    ----------
    files : mapping of str to bytes
        What was in it, by name.
    odd : str | None
        What of it, beside the files, is not as `archive_file.pack` makes it.

    Raises
    ------
    StoreError
        If they are of a study that this version of scmmlab cannot check.
    """
    sums, records = tuple(_check_sums(files)), tuple(_check_records(files))
    yield Check("the file is as export packs one", (odd,) if odd else ())
    yield Check(f"checksums of {len(files) - 1} files", sums)
    yield Check("each record is what was written", records)
    if odd or sums or records:
        return
    try:
        plan = _plan(files)
        with _store(files) as store:
            yield Check("keys match the specs and the tables' fingerprints", tuple(_check_keys(files, plan, store)))
        derived = _derived(files)
    except (ScmmlabError, ValueError, KeyError, TypeError) as error:
        message = error.message if isinstance(error, ScmmlabError) else f"{type(error).__name__}: {error}"
        yield Check("the study can be planned from its files", (message.partition("\n")[0],))
        return
    faults = [f"{name} is not what its records give" for name in _DERIVED_TEXT if derived.get(name) != files.get(name)]
    yield Check("plan, results and the report's tables come out of the records again", tuple(faults))


def _without_names(manifest: Manifest) -> Manifest:
    """A manifest by whose names nobody is known: subjects and files by number. Hashes stay, and the fingerprint."""
    numbers = {file: str(number) for number, file in enumerate(sorted(manifest.raw_files))}
    return manifest.model_copy(
        update={
            "subjects": {number: str(number) for number in manifest.subjects},
            "raw_files": {numbers[file]: digest for file, digest in sorted(manifest.raw_files.items())},
            "signals": {numbers[file]: of_file for file, of_file in sorted(manifest.signals.items())},
            "companions": {
                str(number): digest for number, (_, digest) in enumerate(sorted(manifest.companions.items()))
            },
        }
    )


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _how_far(plan: Plan, store: ResultStore) -> str:
    """What there is of a study and what is missing, in a phrase."""
    if isinstance(plan.study, SweepSpec):
        return f"{len(settled_records(plan, store))} of {plan.study.tune_trials} settings"
    cells = study_status(plan, store).cells
    missing = [status for status in cells if status.state is not CellState.FINISHED]
    named = ", ".join(f"{status.cell.name} ({status.state.value})" for status in missing[:_NAMED])
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return f"{len(cells) - len(missing)} of {len(cells)} cells, without {named}{more}"


def _names_of_tables(plan: Plan) -> dict[str, str]:
    """Location → name in the archive."""
    return {
        location: f"tables/{re.sub(r'[^A-Za-z0-9_-]+', '-', manifest.corpus).strip('-')}-{manifest.fingerprint[:12]}"
        for location, manifest in plan.manifests.items()
    }


def _with_tables(study: AblationSpec | SweepSpec, names: Mapping[str, str]) -> AblationSpec | SweepSpec:
    transfers = [
        transfer.model_copy(
            update={
                side: selection.model_copy(update={"table": names[selection.table]})
                for side, selection in (("source", transfer.source), ("target", transfer.target))
            }
        )
        for transfer in study.transfers
    ]
    return study.model_copy(update={"transfers": tuple(transfers)})


def _plan(files: Mapping[str, bytes]) -> Plan:
    """The plan of the study in the files; nothing outside of them is read."""
    versions = json.loads(files["versions.json"])
    code = installed_code("cells")
    here = (NUMERICS_VERSION, str(KEYS_VERSION), "the released code" if code.known else f"code {code.digest}")
    # archives from before keys had a version are of the first
    other = versions.get("code")
    there = (versions["numerics"], versions.get("keys", "1"), f"code {other}" if other else "the released code")
    if there != here:
        raise StoreError(
            f"The study was computed with version {there[0]} of the numerics, version {there[1]} of keys and "
            f"{there[2]}, and this scmmlab has {here[0]}, {here[1]} and {here[2]}: keys differ.",
            f"check it with scmmlab {versions['scmmlab']} ({versions.get('commit', 'commit unknown')}).",
        )
    try:
        study: AblationSpec | SweepSpec = TypeAdapter(StudySpec).validate_python(
            parse_yaml(files["study.yaml"].decode(), "study.yaml")
        )
    except ValidationError as error:
        raise StoreError(f"study.yaml is no study: {error.errors()[0]['msg']}.") from error

    def manifest_of(location: str) -> Manifest:
        return Manifest.model_validate_json(files[f"{location}/manifest.json"])

    return make_plan(study, manifest_of)


@contextmanager
def _store(files: Mapping[str, bytes]) -> Iterator[ResultStore]:
    """The records in the files as a result store, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="scmmlab-archive-") as root:
        for name, data in files.items():
            if name.startswith("store/"):
                path = Path(root, name.removeprefix("store/"))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        yield ResultStore(root)


def _derived(files: Mapping[str, bytes]) -> ArchiveFiles:
    """What follows from the specs and records."""
    plan = _plan(files)
    study = plan.study
    made: ArchiveFiles = {"plan.json": _json(plan.to_json())}
    with _store(files) as store, tempfile.TemporaryDirectory(prefix="scmmlab-report-") as folder:
        if isinstance(study, SweepSpec):
            made["results.csv"] = rows_csv(trial_rows(study.name, search_records(plan, store))).encode()
        else:
            by_name: dict[str, Literal["fold", "subject"]] = {
                "results.csv": "fold",
                "results_by_subject.csv": "subject",
            }
            for name, by in by_name.items():
                made[name] = rows_csv(result_rows(study.name, plan.cells, store.get_cell, by)).encode()
        paths = write_report(collect_results(plan, store, json.loads(files["versions.json"])), folder)
        for path in paths.all:
            made[f"report/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    return made


def _check_sums(files: Mapping[str, bytes]) -> Iterator[str]:
    if SUMS not in files:
        yield f"there is no {SUMS}"
        return
    listed = {}
    for line in files[SUMS].decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    for name in sorted(listed.keys() | files.keys() - {SUMS}):
        if name not in files:
            yield f"{name} is missing, which {SUMS} lists"
        elif name not in listed:
            yield f"{name} is not listed in {SUMS}"
        elif hashlib.sha256(files[name]).hexdigest() != listed[name]:
            yield f"{name} was altered: it is not what {SUMS} says"


def _check_records(files: Mapping[str, bytes]) -> Iterator[str]:
    for name, data in files.items():
        if name.startswith("store/"):
            kind = "cells" if name.startswith("store/cells/") else "trial"
            try:
                from_json(kind, Path(name).stem, data)
            except DamagedError as error:
                yield f"{name}: {error}"


def _check_keys(files: Mapping[str, bytes], plan: Plan, store: ResultStore) -> Iterator[str]:
    if isinstance(plan.study, SweepSpec):
        yield from _check_search(plan, store)
        return
    for key, cell in plan.distinct.items():
        record = store.get_cell(key)
        if record is None:
            yield f"{cell.name} has no record under the key {key} that its spec and tables give"
            continue
        source, target = plan.source(cell.transfer), plan.target(cell.transfer)
        experiment = ExperimentSpec.model_validate(record["experiment"])
        channels, seed = tuple(record["channels"]), record["seed"]
        if cell_key(experiment, cell.transfer, source, target, channels, seed) != key or record["key"] != key:
            yield f"the record of {cell.name} ({key}) belongs to another experiment"
        found = (record["source_fingerprint"], record["target_fingerprint"], record["numerics"])
        if found != (source.fingerprint, target.fingerprint, NUMERICS_VERSION):
            yield f"the record of {cell.name} ({key}) is of other tables"
    for key in sorted(store.keys("cells") - plan.distinct.keys()):
        yield f"the record {key} is of no cell of the study"


def _check_search(plan: Plan, store: ResultStore) -> Iterator[str]:
    key = search_key(plan)
    for name, record in store.study_folder(plan.study.name).trials().items():
        if record["search"] != key:
            yield f"setting {name} is of another search"
        elif record["state"] != "failed" and plan.sampled(name, record["params"]).key != record["key"]:
            yield f"setting {name} has another key than its values give"


def _sums(files: Mapping[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


def _readme(name: str) -> str:
    return f"""Study '{name}', finished: what was asked for (study.yaml), on what (tables/), each record as it was
computed (store/), by what (versions.json; attempts.json where that changed on the way), and what follows: plan.json,
results.csv, report/.

    sha256sum -c SHA256SUMS           the files are those that were packed
    scmmlab verify-archive FILE       also: keys match specs and tables, and the tables come out of the records again

No recording, no feature, no name of a subject or of a raw file is in it.
"""
