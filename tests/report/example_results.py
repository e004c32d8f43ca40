"""Studies as they come out of a store, drawn from seeded chance: shifts of subjects, seeds and variants, as real "
"ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from scmmlab.config import AblationSpec, SweepSpec, resolve_variant
from scmmlab.evaluation import confusion, json_scores, scores
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.report import CellResult, StudyResults
from scmmlab.study import TuneTrialRecord
from scmmlab.tables import Manifest

VARIANTS: dict[str, dict[str, Any]] = {
    "full": {"description": "SCMM as published", "set": {}},
    "hard_weights": {"description": "hard instead of soft weights", "set": {"contrast.weights": "hard"}},
    "no_contrast": {"description": "no contrastive loss", "set": {"contrast.enabled": False}},
    "no_aggregator": {"description": "each row reconstructs itself", "set": {"aggregator.enabled": False}},
    "no_reconstruction": {"description": "no reconstruction loss", "set": {"reconstruction.enabled": False}},
    "no_masking": {"description": "views are plain copies", "set": {"masking.mode": "none"}},
    "no_pretraining": {"description": "fine-tuning from the initial encoder", "set": {"pretrain.enabled": False}},
    "released": {
        "description": "the full model, judged as the released code does",
        "set": {"protocol": {"kind": "released", "split": "leave_subjects_out", "subjects_per_fold": 3}},
    },
}
SKILL = {
    "full": 0.95,
    "hard_weights": 0.92,
    "no_contrast": 0.85,
    "no_aggregator": 0.97,
    "no_reconstruction": 0.65,
    "no_masking": 0.9,
    "no_pretraining": 0.55,
    "released": 1.0,
}
VERSIONS = {"scmmlab": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "numerics": "1", "git commit": "0123abc"}


def manifest(corpus: str, subjects: int, classes: tuple[str, ...]) -> Manifest:
    return Manifest(
        corpus=corpus,
        channels=("Fp1", "Fp2", "F3", "F4"),
        bands={"delta": (1, 4), "theta": (4, 8), "alpha": (8, 14), "beta": (14, 31), "gamma": (31, 50)},
        window_s=1.0,
        classes=classes,
        unit="nat",
        provenance={"origin": "computed"},
        subjects={number: f"S{number:02d}" for number in range(subjects)},
        windows=120 * subjects,
        attribution="Example et al., 2024",
        fingerprint=f"{corpus:0<12}".encode().hex()[:16],
    )


CORPORA = {
    "shipped:eegmat": manifest("eegmat", 36, ("rest", "arithmetic")),
    "film": manifest("film", 12, ("sad", "neutral", "happy")),
}


def ablation(
    transfers: tuple[str, ...] = ("eegmat", "to_film"), variants: tuple[str, ...] = tuple(VARIANTS)
) -> AblationSpec:
    eegmat = {"table": "shipped:eegmat", "subjects": "0-17"}
    targets = {"eegmat": {"table": "shipped:eegmat", "subjects": "18-35"}, "to_film": {"table": "film"}}
    return AblationSpec.model_validate(
        {
            "name": "components",
            "description": "Which parts of SCMM carry its transfer from one half of the subjects to the other, and to "
            "film clips?",
            "base": {"protocol": {"kind": "loso", "subjects_per_fold": 3}, "pretrain": {"epochs": 40}},
            "variants": {name: VARIANTS[name] for name in variants},
            "transfers": [{"name": name, "source": eegmat, "target": targets[name]} for name in transfers],
            "statistics": {"bootstrap_samples": 2000},
        }
    )


def experiment(study: AblationSpec, variant: str) -> ScmmSpec:
    return resolve_variant(study.base, study.variants[variant].set)


def record(study: AblationSpec, variant: str, transfer: str, seed: int) -> dict[str, Any]:
    """An evaluate record as `training` writes it."""
    what = experiment(study, variant)
    target = next(one.target for one in study.transfers if one.name == transfer)
    table = CORPORA[target.table]
    subjects = list(target.subjects if target.subjects is not None else table.subjects)
    classes, windows = len(table.classes), 120
    released = what.protocol.kind == "released"
    folds = []
    for start in range(0, len(subjects), 3):
        tested = subjects[start : start + 3]
        drawn = {subject: _predictions(variant, transfer, subject, seed, classes, windows) for subject in tested}
        label = np.concatenate([own[0] for own in drawn.values()])
        probability = np.concatenate([own[1] for own in drawn.values()])
        figures = json_scores(scores(label, probability))
        fold: dict[str, Any] = {
            "name": f"subjects {tested[0]}-{tested[-1]}",
            "subjects": tested,
            "windows": {
                "finetune": windows * (len(subjects) - 3 - (0 if released else 4)),
                "validation": 0 if released else windows * 4,
                "test": windows * len(tested),
            },
            "epoch": 50,
            "validation": None if released else {name: (value or 0) - 0.01 for name, value in figures.items()},
            "test": figures,
            "confusion": confusion(label, probability.argmax(axis=1), classes).tolist(),
            "by_subject": {str(subject): json_scores(scores(*own)) for subject, own in drawn.items()},
        }
        if released:
            rng = np.random.default_rng([seed, start, 7])
            level = figures["accuracy"] or 0.0
            curve = level - 0.06 * np.exp(-np.arange(50) / 8) - np.abs(rng.normal(0, 0.025, 50))
            fold["epoch"] = int(rng.integers(20, 45))
            curve[fold["epoch"] - 1] = level
            fold["test_by_epoch"] = curve.tolist()
        folds.append(fold)
    return {
        "format": 1,
        "channels": list(table.channels),
        "classes": list(table.classes),
        "protocol": what.protocol.kind,
        "leaks": ["epoch chosen on test labels", "test part scaled by its own numbers"] if released else [],
        "folds": folds,
        "curves": _curves(variant, transfer, seed, what, 1 / classes),
    }


def _predictions(
    variant: str, transfer: str, subject: int, seed: int, classes: int, windows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a subject: the subject's ease is shared by all variants, the seed's noise is not."""
    ease = np.random.default_rng([subject, len(transfer)]).normal(0, 0.45)
    rng = np.random.default_rng([list(VARIANTS).index(variant), seed, subject, len(transfer)])
    label = np.repeat(np.arange(classes), windows // classes)
    logits = rng.normal(0, 1, (label.size, classes))
    logits[np.arange(label.size), label] += max(
        SKILL[variant] + ease + rng.normal(0, 0.12) - (variant == "released") * -0.35, -0.3
    )
    exponential = np.exp(logits)
    return label, exponential / exponential.sum(axis=1, keepdims=True)


def _curves(variant: str, transfer: str, seed: int, what: ScmmSpec, chance: float) -> dict[str, Any]:
    # variants that differ in fine-tuning or protocol alone share their pre-training, and so its curve
    rng = np.random.default_rng([0 if variant == "released" else list(VARIANTS).index(variant), seed, len(transfer), 1])
    start = rng.uniform(0.8, 1.2)
    pretrain = [
        {
            "epoch": epoch,
            "loss": start * (2 + 3 * np.exp(-epoch / 9)),
            "contrast": start * (1 + 2 * np.exp(-epoch / 6)) if what.contrast.enabled else None,
            "reconstruction": start * (0.05 + 0.4 * np.exp(-epoch / 12)) if what.reconstruction.enabled else None,
        }
        for epoch in range(1, 41)
    ]
    rng = np.random.default_rng([list(VARIANTS).index(variant), seed, len(transfer), 2])
    gain = SKILL[variant] / 4
    finetune = [
        {
            "epoch": epoch,
            "loss": 0.7 * np.exp(-epoch / 30),
            "train_accuracy": 1 - (1 - chance) * np.exp(-epoch / 15) + rng.normal(0, 0.004),
            "validation_balanced_accuracy": None
            if variant == "released"
            else chance + gain * (1 - np.exp(-epoch / 9)) + rng.normal(0, 0.012),
        }
        for epoch in range(1, 51)
    ]
    return {"pretrain": pretrain if what.pretrain.enabled else [], "finetune": finetune}


def ablation_results(study: AblationSpec | None = None, holes: bool = True) -> StudyResults:
    """Every cell of `study`; with `holes` two are missing, one failed, and one lacks a fold."""
    study = study or ablation()
    cells = []
    for transfer in study.transfers:
        for variant in study.variants:
            for seed in study.seeds:
                name = (variant, transfer.name, seed)
                common = (variant, transfer.name, seed, "-".join(map(str, name)), experiment(study, variant))
                if holes and variant == "no_masking" and transfer.name == "to_film" and seed > 0:
                    cells.append(CellResult(*common, state="missing"))
                elif holes and variant == "hard_weights" and seed == 2 and transfer.name == "eegmat":
                    error = "TrainingError: the loss of epoch 3 is not finite <nan>"
                    cells.append(CellResult(*common, state="failed", error=error))
                else:
                    found = record(study, *name)
                    if holes and variant == "no_contrast" and seed == 1 and transfer.name == "eegmat":
                        found["folds"].pop()
                    cells.append(CellResult(*common, state="finished", record=found))
    return StudyResults(study, tuple(cells), CORPORA, VERSIONS)


def sweep_results(tried: int = 30, asked: int = 32) -> StudyResults:
    """A sweep that early stopping thinned out."""
    study = SweepSpec.model_validate(
        {
            "kind": "sweep",
            "name": "scmm",
            "description": "Which setting transfers best?",
            "base": {"protocol": {"kind": "loso", "subjects_per_fold": 3}},
            "space": {
                "masking.ratio": {"low": 0.1, "high": 0.9},
                "masking.mode": {"choices": ["random", "channel", "hybrid"]},
                "contrast.soft_weight_temperature": {"low": 0.01, "high": 1.0, "log": True},
                "aggregator.top_k": {"choices": [None, 8, 32]},
                "pretrain.optimizer.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
            },
            "transfers": [
                {
                    "name": "eegmat",
                    "source": {"table": "shipped:eegmat", "subjects": "0-17"},
                    "target": {"table": "shipped:eegmat", "subjects": "18-35"},
                }
            ],
            "tune_trials": asked,
        }
    )
    rng = np.random.default_rng(11)
    trials = []
    for number in range(tried):
        params = {
            "masking.ratio": float(rng.uniform(0.1, 0.9)),
            "masking.mode": str(rng.choice(["random", "channel", "hybrid"])),
            "contrast.soft_weight_temperature": float(10 ** rng.uniform(-2, 0)),
            "aggregator.top_k": [None, 8, 32][int(rng.integers(3))],
            "pretrain.optimizer.learning_rate": float(10 ** rng.uniform(-4, -2)),
        }
        level = 0.66 - 0.3 * (params["masking.ratio"] - 0.45) ** 2 + rng.normal(0, 0.012)
        level -= 0.06 * abs(np.log10(params["pretrain.optimizer.learning_rate"]) + 3)
        curve = [(epoch, float(level - 0.1 * np.exp(-epoch / 8) + rng.normal(0, 0.004))) for epoch in range(5, 41, 5)]
        if number == 6:
            trials.append(
                TuneTrialRecord(
                    number, f"t{number}", params, (), None, "failed", "TrainingError: the loss is not finite"
                )
            )
        elif number > 5 and curve[1][1] < 0.6:
            trials.append(
                TuneTrialRecord(number, f"t{number}", params, tuple(curve[: 2 if number % 2 else 3]), None, "pruned")
            )
        else:
            trials.append(TuneTrialRecord(number, f"t{number}", params, tuple(curve), curve[-1][1], "complete"))
    return StudyResults(study, (), CORPORA, VERSIONS, tuple(trials))


def conditional_sweep_results(tried: int = 30) -> StudyResults:
    """A sweep for accuracy and few epochs, with parameters that are searched sometimes, and never."""
    study = SweepSpec.model_validate(
        sweep_results(0).study.model_dump(mode="json")
        | {
            "name": "cost",
            "base": {"protocol": {"kind": "loso"}, "aggregator": {"enabled": False}},
            "space": {
                "pretrain.epochs": {"low": 5, "high": 40, "type": "int", "log": True},
                "masking.mode": {"choices": ["random", "hybrid"]},
                "masking.threshold": {"low": 0.0, "high": 1.0, "when": {"masking.mode": "hybrid"}},
                "aggregator.top_k": {"choices": [4, None], "when": {"aggregator.enabled": True}},
            },
            "objectives": ["probe", "epochs"],
            "tune_trials": tried,
        }
    )
    rng = np.random.default_rng(3)
    trials = []
    for number in range(tried):
        epochs = int(rng.integers(5, 41))
        params: dict[str, Any] = {"pretrain.epochs": epochs, "masking.mode": str(rng.choice(["random", "hybrid"]))}
        if params["masking.mode"] == "hybrid":
            params["masking.threshold"] = float(rng.uniform())
        reached = 0.5 + 0.004 * epochs + 0.1 * params.get("masking.threshold", 0.5) + float(rng.normal(0, 0.01))
        curve = [(epoch, reached - 0.003 * (epochs - epoch)) for epoch in (*range(5, epochs, 5), epochs)]
        if number % 4 == 3:
            trials.append(TuneTrialRecord(number, f"t{number}", params, tuple(curve[:1]), None, "pruned"))
        else:
            trials.append(TuneTrialRecord(number, f"t{number}", params, tuple(curve), curve[-1][1], "complete"))
    return StudyResults(study, (), CORPORA, VERSIONS, tuple(trials))
