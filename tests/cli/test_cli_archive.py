"""A finished study as one file: it verifies elsewhere, gives equal bytes, and shows every change of it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scmmlab.study.archive_file import pack, unpack
from scmmlab.study.objects import to_json

SWEEP = """
kind: sweep
name: tiny_search
base:
  network: {width: 16, classifier_width: 8}
  pretrain: {epochs: 2, batch_size: 32}
  protocol: {kind: honest, finetune_trials: 6}
space: {masking.ratio: {low: 0.2, high: 0.8}}
transfers: [{name: a-to-b, source: {table: a}, target: {table: b}}]
tune_trials: 2
report_every: 1
"""


def summed(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files with checksums of what they are now."""
    files = {name: data for name, data in files.items() if name != "SHA256SUMS"}
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    return files | {"SHA256SUMS": "".join(lines).encode()}


@pytest.fixture
def exported(scmmlab, study, finished: Path, tmp_path: Path) -> Path:
    out = tmp_path / "tiny.tar"
    done = scmmlab("export", study, "--store", finished, "--out", out)
    assert done.status == 0, done.err
    return out


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_an_archive_verifies_where_store_and_tables_are_not(
    scmmlab, study, finished: Path, tmp_path: Path, suffix: str
) -> None:
    files = [tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"]
    for number, file in enumerate(files):
        # another place of the same study
        shutil.copytree(study.parent, tmp_path / f"study{number}")
        shutil.copytree(finished, tmp_path / f"store{number}")
        store, spec = tmp_path / f"store{number}", tmp_path / f"study{number}" / study.name
        assert scmmlab("export", spec, "--store", store, "--out", file).status == 0
        shutil.rmtree(store)
        shutil.rmtree(spec.parent)
    assert files[0].read_bytes() == files[1].read_bytes()
    contents = unpack(files[0])
    for place in (study.parent, finished, tmp_path, Path.cwd()):
        assert [name for name, data in contents.items() if str(place).encode() in data] == []
    assert {"study.yaml", "plan.json", "results.csv", "versions.json", "report/report.html"} <= contents.keys()
    assert sum(name.startswith("store/cells/") for name in contents) == 6
    done = scmmlab("verify-archive", files[0])
    assert done.status == 0, done.out
    assert [line[:6] for line in done.out.splitlines()] == ["ok    "] * 5 + ["The ar"]
    (tmp_path / "unpacked").mkdir()
    shutil.unpack_archive(files[0], tmp_path / "unpacked")
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path / "unpacked", check=True)


@pytest.mark.slow
def test_every_change_is_found_also_where_checksums_were_made_to_match(scmmlab, exported: Path) -> None:
    files = unpack(exported)
    name = next(name for name in files if name.startswith("store/cells/"))
    key = Path(name).stem
    record = json.loads(files[name])["record"]

    def said(changed: dict[str, bytes]) -> str:
        exported.write_bytes(pack(changed, ".tar"))
        done = scmmlab("verify-archive", exported)
        assert done.status == 1, done.out
        return done.out

    def with_record(**changes: object) -> dict[str, bytes]:
        return summed(files | {name: to_json("cells", key, record | changes)})

    altered = files[name].replace(f'"seed": {record["seed"]}'.encode(), b'"seed": 7')
    assert altered != files[name]
    assert f"{name} was altered" in said(files | {name: altered})
    assert f"{name}: its checksum does not match" in said(summed(files | {name: altered}))
    assert f"{name} is missing" in said({other: data for other, data in files.items() if other != name})
    assert "extra is not listed" in said(files | {"extra": b""})
    assert "has no record under the key" in said(summed({o: d for o, d in files.items() if o != name}))
    assert "belongs to another experiment" in said(with_record(seed=7))
    assert "is of other tables" in said(with_record(target_fingerprint="0"))
    folds = json.loads(json.dumps(record["folds"]))
    folds[0]["test"]["accuracy"] += 2**-40
    assert "results.csv is not what its records give" in said(with_record(folds=folds))
    results = files["results.csv"].replace(b"0.5", b"0.6")
    assert "results.csv is not what" in said(summed(files | {"results.csv": results}))
    spec = files["study.yaml"].replace(b"classifier_width: 8", b"classifier_width: 9")
    assert "has no record under the key" in said(summed(files | {"study.yaml": spec}))
    outside = files["study.yaml"].replace(b"table: tables/", b"table: /etc/")
    assert "can be planned" in said(summed(files | {"study.yaml": outside}))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_no_byte_of_the_file_can_be_changed(scmmlab, study, finished: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"tiny{suffix}"
    assert scmmlab("export", study, "--store", finished, "--out", out).status == 0
    data = out.read_bytes()
    members = {name: data.index(content) for name, content in unpack(out).items() if content}
    random = np.random.default_rng(0)
    # a byte of each member, of what stands before each, and of the file's ends; then any
    inside = [(name, place + int(random.integers(len(unpack(out)[name])))) for name, place in members.items()]
    outside = [(None, place - 1 - int(random.integers(30))) for place in members.values()]
    anywhere = [(None, int(place)) for place in [0, 1, len(data) - 1, *random.integers(len(data), size=30)]]
    for name, place in [*inside, *outside, *anywhere]:
        altered = bytearray(data)
        altered[place] ^= 1 << int(random.integers(8))
        out.write_bytes(altered)
        done = scmmlab("verify-archive", out)
        assert done.status in (1, 2), f"byte {place} of {name}"
        assert done.status == 1 or "Cannot read the archive" in done.err or "is refused" in done.err
        if name is not None:
            assert name in done.out + done.err, f"{name} is not named: {done}"
    for more in (b"\0", b"x" * 2000):
        out.write_bytes(data + more)
        done = scmmlab("verify-archive", out)
        assert done.status == 1
        assert f"{len(more)} bytes follow its end" in done.out


@pytest.mark.slow
def test_a_study_that_is_not_finished_is_refused_with_what_is_missing(
    scmmlab, study, finished: Path, tmp_path: Path
) -> None:
    store = tmp_path / "runs"
    shutil.copytree(finished, store)
    for path in sorted((store / "cells").iterdir())[:2]:
        path.unlink()
    done = scmmlab("export", study, "--store", store, "--out", tmp_path / "x.tar")
    assert done.status == 2
    assert "expected all of it for an archive, found 4 of 6 cells, without " in done.err
    assert done.err.count(" (missing)") == 2
    assert not (tmp_path / "x.tar").exists()


@pytest.mark.slow
def test_versions_that_changed_on_the_way_are_told_with_what_they_computed(
    scmmlab, study, finished: Path, tmp_path: Path
) -> None:
    store, out = tmp_path / "runs", tmp_path / "x.tar"
    shutil.copytree(finished, store)
    notes = store / "studies" / "tiny" / "attempts.json"
    (attempt,) = json.loads(notes.read_text())
    key, *others = sorted(path.stem for path in (store / "cells").iterdir())
    newer = {"versions": attempt["versions"] | {"torch": "99.0"}, "found": others}
    notes.write_text(json.dumps([attempt, newer]))
    assert scmmlab("export", study, "--store", store, "--out", out).status == 0
    files = unpack(out)
    assert json.loads(files["versions.json"])["torch"] == "99.0"
    told = [(group["versions"]["torch"], group["computed"]) for group in json.loads(files["attempts.json"])]
    assert told == [(attempt["versions"]["torch"], others), ("99.0", [key])]
    assert scmmlab("verify-archive", out).status == 0


@pytest.mark.slow
def test_a_sweep_is_archived_too(scmmlab, study, tmp_path: Path) -> None:
    spec, store, out = study.with_name("search.yaml"), tmp_path / "runs", tmp_path / "search.zip"
    spec.write_text(SWEEP)
    arguments = ("--store", store)
    assert scmmlab("export", spec, *arguments, "--out", out).status == 2
    done = scmmlab("run", spec, *arguments, "--engine", "local", "--tracking-uri", "none")
    assert done.status == 0, done.err
    assert scmmlab("export", spec, *arguments, "--out", out).status == 0
    done = scmmlab("verify-archive", out)
    assert done.status == 0, done.out
    files = unpack(out)
    name = "store/studies/tiny_search/trials/00001.json"
    record = json.loads(files[name])["record"]
    record["params"]["masking.ratio"] /= 2
    out.write_bytes(pack(summed(files | {name: to_json("trial", "00001", record)}), ".zip"))
    assert "setting 00001 has another key than its values give" in scmmlab("verify-archive", out).out


def tar_with(header: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        header.size = 0
        tar.addfile(header, io.BytesIO())
    return buffer.getvalue()


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, "/etc/passwd"
    return header


def zip_with(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tar_with(tarfile.TarInfo("../outside")), "expected plain names, found '../outside'"),
        (tar_with(tarfile.TarInfo("/etc/outside")), "expected plain names, found '/etc/outside'"),
        (tar_with(tarfile.TarInfo("store/../../x")), "expected plain names"),
        (tar_with(link("link", tarfile.SYMTYPE)), "found 'link', which is not one"),
        (tar_with(link("link", tarfile.LNKTYPE)), "found 'link', which is not one"),
        (tar_with(link("device", tarfile.CHRTYPE)), "found 'device', which is not one"),
        (zip_with("../outside"), "expected plain names, found '../outside'"),
        (zip_with("..\\outside"), "expected plain names"),
        (b"neither", "Cannot read the archive"),
        (b"", "Cannot read the archive"),
        (pack({"a": b"x" * 4000}, ".tar")[:2000], "Cannot read the archive"),
        (pack({"a": bytes(4000)}, ".zip")[:60], "Cannot read the archive"),
    ],
)
def test_a_file_that_is_no_plain_archive_is_refused(scmmlab, tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "archive"
    file.write_bytes(data)
    done = scmmlab("verify-archive", file)
    assert done.status == 2, done.out
    assert said in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive"]


def test_what_cannot_be_exported_is_refused(scmmlab, study, tmp_path: Path) -> None:
    done = scmmlab("export", study, "--store", tmp_path / "runs", "--out", tmp_path / "x.tar")
    assert done.status == 2
    assert "Study 'tiny' is not finished" in done.err
    assert "must end in .tar or .zip" in scmmlab("export", study, "--out", tmp_path / "x.7z").err
    assert scmmlab("verify-archive", tmp_path / "absent").status == 2
    assert list(tmp_path.iterdir()) == []
