from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rehearsals import Rehearsals

from command_line import scmmlab  # noqa: F401 - a fixture
from s3_server import S3Server, s3_server
from scmmlab.cli.main import main

STUDY = """
kind: ablation
name: tiny
description: Two variants and two seeds on a synthetic corpus.
base:
  network: {width: 16, classifier_width: 8}
  pretrain: {epochs: 2, batch_size: 32}
  finetune: {epochs: 3, batch_size: 32}
  protocol: {kind: honest, finetune_trials: 6}
variants:
  full: {}
  no_aggregator: {aggregator.enabled: false}
  released: {protocol.kind: released}
transfers:
  - {name: a-to-b, source: {table: a}, target: {table: b}}
seeds: [0, 1]
"""


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study file beside its two tables."""
    folder = tmp_path_factory.mktemp("study")
    for name, seed in (("a", 1), ("b", 2)):
        sizes = ["--subjects", "2", "--trials", "9", "--windows", "6", "--channels", "Fz,Cz,Pz,Oz"]
        assert main(["corpus", "fake", "--out", str(folder / name), "--seed", str(seed), "--name", name, *sizes]) == 0
    path = folder / "tiny.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, study: Path) -> Path:
    """A store in which the study is finished; not to be written to."""
    store = tmp_path_factory.mktemp("finished") / "runs"
    assert main(["run", str(study), "--engine", "local", "--store", str(store), "--tracking-uri", "none"]) == 0
    return store


@pytest.fixture(scope="session")
def rehearsals(tmp_path_factory: pytest.TempPathFactory) -> Rehearsals:
    """Fakes of the corpora and their tables; not to be written to."""
    return Rehearsals(tmp_path_factory.mktemp("rehearsals"))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server
