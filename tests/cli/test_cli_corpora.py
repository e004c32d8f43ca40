"""Each corpus from an empty folder to results, and what is said of folders that are not right."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from rehearsals import replace

from scmmlab.corpora.fakes import FAKES
from scmmlab.corpora.registry import READERS
from scmmlab.tables import read_manifest

STUDY = """
kind: ablation
name: rehearsal
description: From one made-up subject to another.
base:
  network: {{width: 8, classifier_width: 8}}
  pretrain: {{epochs: 1, batch_size: 256}}
  finetune: {{epochs: 1, batch_size: 128}}
  protocol: {{kind: honest, trial_order: time_within_class, finetune_share: 0.67}}
variants:
  honest:
  released: {{protocol.kind: released}}
transfers:
  - name: one-to-the-other
    source: {{table: {table}, subjects: [{source}]}}
    target: {{table: {table}, subjects: [{target}]}}
seeds: [0]
statistics: {{reference: honest}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", FAKES)
def test_a_corpus_goes_from_an_empty_folder_to_results(scmmlab, rehearsals, tmp_path: Path, name) -> None:
    corpus = rehearsals.corpus(name)
    checked = scmmlab("corpus", "check", name, "--root", corpus)
    assert checked.status == 0, checked.out
    assert "all hold" in checked.out

    table = rehearsals.table(name)
    again = scmmlab("corpus", "build", name, "--root", corpus, "--out", table, "--engine", "local")
    assert "Up to date" in again.out
    manifest = read_manifest(table)
    assert manifest.corpus == name
    source, target = sorted(manifest.subjects)[:2]

    study = tmp_path / "rehearsal.yaml"
    study.write_text(STUDY.format(table=table, source=source, target=target))
    planned = scmmlab("plan", study, "--store", tmp_path / "runs")
    assert planned.status == 0, planned.err
    assert "= 2 cells" in planned.out
    ran = scmmlab("run", study, "--engine", "local", "--store", tmp_path / "runs", "--tracking-uri", "none")
    assert ran.status == 0, ran.err
    results = scmmlab("results", study, "--store", tmp_path / "runs")
    assert results.status == 0, results.err
    rows = csv.DictReader(io.StringIO(results.out))
    tested = {row["variant"] for row in rows if (row["part"], row["metric"]) == ("test", "balanced_accuracy")}
    assert tested == {"honest", "released"}, results.out + ran.err


@pytest.mark.slow
@pytest.mark.parametrize("name", FAKES)
def test_a_file_that_was_half_copied_is_found_by_check_and_refused_by_build(
    scmmlab, rehearsals, tmp_path: Path, name
) -> None:
    corpus = rehearsals.to_be_damaged(name, tmp_path / "corpus")
    file = READERS[name]().files(corpus)[-1]
    replace(corpus / file, (corpus / file).read_bytes()[: (corpus / file).stat().st_size // 3])
    checked = scmmlab("corpus", "check", name, "--root", corpus)
    assert checked.status == 1
    assert file in checked.out
    assert "do not hold" in checked.out or "does not hold" in checked.out
    built = scmmlab("corpus", "build", name, "--root", corpus, "--out", tmp_path / "tables" / name, "--engine", "local")
    assert built.status == 2
    assert Path(file).name in built.err
    assert not list(tmp_path.glob("tables/*"))


@pytest.mark.slow
def test_each_thing_that_is_wrong_with_a_folder_is_found_at_once(scmmlab, rehearsals, tmp_path: Path) -> None:
    corpus = rehearsals.to_be_damaged("seed", tmp_path / "corpus")
    features = corpus / "ExtractedFeatures"
    (features / "1_20131030.mat").rename(features / "1_20140413.mat")  # a day of subject 2
    (features / "2_20140404.mat").rename(features / "2_20140404 (1).mat")
    replace(features / "2_20140419.mat", b"MATLAB 5.0 MAT-file")
    (features / "label.mat").unlink()
    scipy.io.savemat(features / "label.mat", {"label": np.array([[1, 2, 3, 0] * 6])})  # as SEED-IV's are
    checked = scmmlab("corpus", "check", "seed", "--root", corpus)
    assert checked.status == 1
    for found in ("1_20140413.mat", "a day of subject 2", "2_20140404 (1).mat", "2_20140419.mat", "label.mat"):
        assert found in checked.out
    built = scmmlab("corpus", "build", "seed", "--root", corpus, "--out", tmp_path / "out", "--engine", "local")
    assert built.status == 2
    assert len(built.err.strip().splitlines()) <= 2, "one sentence and its hint"
    assert not (tmp_path / "out").exists()


def test_the_list_names_every_corpus_and_what_it_needs(scmmlab) -> None:
    done = scmmlab("corpus", "list")
    assert done.status == 0
    for name, reader in READERS.items():
        assert name in done.out
        assert " ".join(reader.needs.split()) in " ".join(done.out.split())


@pytest.mark.parametrize("command", ["check", "build", "fake"])
def test_an_unknown_corpus_is_refused_with_the_nearest_name(scmmlab, tmp_path: Path, command) -> None:
    words = {"check": ["--root", tmp_path], "build": ["--root", tmp_path, "--out", tmp_path / "o"]}
    done = scmmlab("corpus", command, "sed_iv", *words.get(command, ["--out", tmp_path / "o"]))
    assert done.status == 2
    assert "'sed_iv'" in done.err
    assert "'seed_iv'" in done.err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", ["seed", "seed_iv", "seed_v", "deap", "faced"])
def test_an_empty_folder_is_told_what_is_expected_in_it(scmmlab, tmp_path: Path, name) -> None:
    checked = scmmlab("corpus", "check", name, "--root", tmp_path)
    assert checked.status == 1
    assert "expected" in checked.out
    built = scmmlab("corpus", "build", name, "--root", tmp_path, "--out", tmp_path / "o", "--engine", "local")
    assert built.status == 2
    assert "expected" in built.err
    assert json.dumps(str(tmp_path))[1:-1] in built.err
