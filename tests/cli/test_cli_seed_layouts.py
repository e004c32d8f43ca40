"""Folders of SEED's family laid out by what is known of them, written without scmmlab's fakes, from check to a plan."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from scmmlab.corpora.seed_facts import LABELS, SECONDS
from scmmlab.corpora.seed_facts_iv import WINDOWS
from scmmlab.corpora.seed_facts_v import LABELS as LABELS_V
from scmmlab.corpora.seed_facts_v import STARTS, STOPS
from scmmlab.tables import read_table

WINDOWS_V = sum((stop - start) // 4 for s in range(3) for start, stop in zip(STARTS[s], STOPS[s], strict=True))
STUDY = """
kind: ablation
name: layouts
base: {{protocol: {{kind: honest, trial_order: time_within_class, finetune_share: 0.67}}}}
variants: {{full: }}
transfers:
  - {{name: a-to-b, source: {{table: table, subjects: [{source}]}}, target: {{table: table, subjects: [{target}]}}}}
"""


def save_v5(path: Path, variables: dict[str, np.ndarray]) -> None:
    scipy.io.savemat(path, variables)


def save_v73(path: Path, variables: dict[str, np.ndarray]) -> None:
    """As MATLAB's `save -v7.3`: HDF5 behind a block of 512 bytes, dimensions backwards."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in variables.items():
            file.create_dataset(name, data=values.T).attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")


def trials(lengths: tuple[int, ...], seed: int) -> dict[str, np.ndarray]:
    """Features of a session: the trial's number, and a little that differs. In the order of names as text."""
    rng = np.random.default_rng(seed)
    return {
        f"{kind}{number}": number + 0.1 * rng.random((62, lengths[number - 1], 5))
        for number in sorted(range(1, len(lengths) + 1), key=str)
        for kind in ("de_LDS", "de_movingAve", "psd_LDS")
    }


def seed_old(root: Path) -> None:
    folder = root / "ExtractedFeatures"
    folder.mkdir()
    # subject 10 stands before subject 2 in a listing
    for number, name in enumerate(("2_20140404", "2_20140413", "10_20131130", "10_20131204")):
        save_v5(folder / f"{name}.mat", trials(SECONDS, number))
    save_v5(folder / "label.mat", {"label": np.array([LABELS], np.int16)})
    (folder / "readme.txt").write_text("")
    (root / "Preprocessed_EEG").mkdir()
    (root / "Preprocessed_EEG" / "readme.txt").write_text("")


def seed_new(root: Path) -> None:
    folder = root / "SEED_EEG" / "ExtractedFeatures_1s"
    folder.mkdir(parents=True)
    for number, name in enumerate(("2_20140404", "2_20140413", "10_20131130", "10_20131204")):
        save_v73(folder / f"{name}.mat", trials(SECONDS, number))
    save_v5(folder / "label.mat", {"label": np.array([LABELS], float)})
    (root / "channel-order.xlsx").write_bytes(b"PK\3\4")
    (root / "SEED_EEG" / "SEED_RAW_EEG").mkdir()
    (root / "SEED_EEG" / "SEED_RAW_EEG" / "10_1.cnt").write_bytes(b"Version 3.0\0")
    (root / "SEED_EEG" / "ExtractedFeatures_4s").mkdir()


def seed_iv(root: Path) -> None:
    days = {1: {2: 20150915, 10: 20151014}, 2: {2: 20150920, 10: 20151021}, 3: {2: 20151012, 10: 20151023}}
    for session, subjects in days.items():
        folder = root / "eeg_feature_smooth" / str(session)
        folder.mkdir(parents=True)
        for subject, day in subjects.items():
            save_v5(folder / f"{subject}_{day}.mat", trials(WINDOWS[session - 1], 10 * session + subject))
    (root / "Channel Order.xlsx").write_bytes(b"PK\3\4")
    (root / "ReadMe.txt").write_text("")


def seed_v(root: Path) -> None:
    (root / "EEG_DE_features").mkdir()
    for subject in (2, 10):
        rng = np.random.default_rng(subject)
        data, label = {}, {}
        for key in range(45):
            session, trial = divmod(key, 15)
            windows = (STOPS[session][trial] - STARTS[session][trial]) // 4
            data[key] = 1 + trial + 0.1 * rng.random((windows, 310))
            label[key] = np.full(windows, float(LABELS_V[session][trial]))
        path = root / "EEG_DE_features" / f"{subject}_123.npz"
        np.savez(path, data=pickle.dumps(data), label=pickle.dumps(label))
    (root / "EEG_DE_features" / "load_feature_data.py").write_text("")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "write", "windows", "trials_per_session"),
    [
        ("seed", seed_old, 4 * sum(SECONDS), 15),
        ("seed", seed_new, 4 * sum(SECONDS), 15),
        ("seed_iv", seed_iv, 2 * (851 + 832 + 822), 24),
        ("seed_v", seed_v, 2 * WINDOWS_V, 15),
    ],
)  # fmt: skip
def test_a_folder_laid_out_by_the_facts_passes_and_is_planned(
    scmmlab, tmp_path: Path, name, write, windows, trials_per_session
) -> None:
    root = tmp_path / "corpus"
    root.mkdir()
    write(root)
    checked = scmmlab("corpus", "check", name, "--root", root)
    assert checked.status == 0, checked.out
    assert (
        scmmlab("corpus", "build", name, "--root", root, "--out", tmp_path / "table", "--engine", "local").status == 0
    )
    table = read_table(tmp_path / "table")
    assert len(table) == windows
    assert sorted(table.manifest.subjects) == [2, 10]
    assert sorted(set(table.trial)) == list(range(1, trials_per_session + 1))
    # what stands in a trial's features is its number
    assert (np.floor(table.features).min(axis=(1, 2)) == table.trial).all()
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.format(source=2, target=10))
    planned = scmmlab("plan", study, "--store", tmp_path / "runs")
    assert planned.status == 0, planned.err


@pytest.mark.slow
def test_raw_sessions_of_both_versions_give_the_same_table(scmmlab, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    raw = {f"jl_eeg{n}": rng.normal(0, 20, (62, seconds * 200 + 1)) for n, seconds in enumerate(SECONDS, start=1)}
    tables = []
    for version, save in (("v5", save_v5), ("v73", save_v73)):
        folder = tmp_path / version / "SEED_EEG" / "Preprocessed_EEG"
        folder.mkdir(parents=True)
        save(folder / "2_20140404.mat", raw)
        out = tmp_path / f"table-{version}"
        words = ("--root", tmp_path / version, "--source", "raw")
        assert scmmlab("corpus", "check", "seed", *words).status == 0
        assert scmmlab("corpus", "build", "seed", *words, "--out", out, "--engine", "local").status == 0
        tables.append(read_table(out))
    assert len(tables[0]) == sum(SECONDS)
    np.testing.assert_array_equal(tables[0].features, tables[1].features)
    np.testing.assert_array_equal(tables[0].label, tables[1].label)
