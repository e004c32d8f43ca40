"""`scmmlab verify` on scores that scikit-learn gave: they are met, and one number that is wrong is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden_files import altered, arrays_of
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from scmmlab.errors import CorpusError
from scmmlab.methods.verification import verify_file
from scmmlab.tables import read_table

FOLDER = Path(__file__).parents[1] / "golden" / "methods"
FILE = FOLDER / "eegmat_oracles.npz"
MODELS = {
    "logistic": (MinMaxScaler, LogisticRegression(C=0.3, solver="newton-cholesky", tol=1e-12)),
    "lda": (StandardScaler, LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")),
    "ridge": (MinMaxScaler, RidgeClassifier(alpha=0.2)),
    "rbf_svm": (StandardScaler, SVC(C=2.0, tol=1e-8)),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Scikit-learn's scores with other settings, of fewer subjects in other folds."""
    table = read_table("shipped:eegmat")
    row = np.flatnonzero(np.isin(table.subject, [2, 3, 5, 8]))
    x, y, subject = table.features[row].reshape(len(row), -1).astype(float), table.label[row], table.subject[row]
    fold = np.searchsorted([4, 9], subject)
    arrays = {"row": row, "subject": subject.astype(np.int64), "y": y, "fold": fold}
    for name, (scaler, model) in MODELS.items():
        scores, kept = np.zeros(len(y)), []
        for number in (0, 1):
            test = fold == number
            fitted = scaler().fit(x[~test])
            model.fit(fitted.transform(x[~test]), y[~test])
            scores[test] = model.decision_function(fitted.transform(x[test]))
            if name == "rbf_svm":
                kept.append((model._gamma, len(model.support_)))
            else:
                kept.append(np.append(model.coef_, model.intercept_))
        arrays[f"score/{name}"] = scores
        if name in ("logistic", "lda"):
            arrays[f"probability/{name}"] = 1 / (1 + np.exp(-scores))
        figures = [balanced_accuracy_score(y[subject == one], scores[subject == one] > 0) for one in np.unique(subject)]
        arrays[f"balanced_accuracy/{name}"] = np.array(figures)
        if name == "rbf_svm":
            gamma, support = zip(*kept, strict=True)
            arrays |= {"rbf_svm_gamma": np.array(gamma), "rbf_svm_support_vectors": np.array(support)}
        else:
            arrays[f"{name}_coef"] = np.stack(kept)
    scalers = {name: "z" if scaler is StandardScaler else "min-max to [0, 1]" for name, (scaler, _) in MODELS.items()}
    config = {
        "scalers": scalers,
        "logistic": {"C": 0.3, "tol": 1e-12},
        "lda": {},
        "ridge": {"alpha": 0.2},
        "rbf_svm": {"C": 2.0, "tol": 1e-8},
    }
    path = tmp_path_factory.mktemp("golden") / "eegmat_oracles.npz"
    np.savez(path, config=json.dumps(config), **arrays)
    return path


@pytest.mark.parametrize("pack", [False, True])
def test_scores_of_other_settings_subjects_and_folds_are_met(small, pack):
    checks = verify_file(small, pack=pack)
    assert [check for check in checks if not check.ok] == []
    assert len(checks) == 2 + 4 * 3 + 2 + 1


def test_the_golden_scores_are_met():
    assert [check for check in verify_file(FILE) if not check.ok] == []


@pytest.mark.parametrize("name", arrays_of(FOLDER, FILE.stem))
def test_one_altered_number_is_found(name, small, tmp_path):
    try:
        checks = verify_file(altered(small, tmp_path, name))
    except CorpusError:
        return
    assert not all(check.ok for check in checks)


@pytest.mark.parametrize("change", [{"ridge": {}}, {"scalers": {}}, {"logistic": {"C": -1, "tol": 1e-12}}])
def test_settings_that_are_missing_or_wrong_are_refused(change, small, tmp_path):
    with np.load(small) as file:
        arrays = {name: file[name] for name in file.files}
    config = json.loads(str(arrays.pop("config"))) | change
    np.savez(tmp_path / "file.npz", config=json.dumps(config), **arrays)
    with pytest.raises(CorpusError, match="cannot be used"):
        verify_file(tmp_path / "file.npz")
