"""Losses and gradients of packs equal those of plain modules, one replica at a time, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from model_packs import SHAPE, experiment, pack, windows
from reference_scmm import ReferenceScmm

from scmmlab.methods.scmm.augmentation import Mixture, mixed
from scmmlab.methods.scmm.encoder import encode
from scmmlab.methods.scmm.finetuning import classify, finetuning_gradient
from scmmlab.methods.scmm.parameters import initial_classifier
from scmmlab.methods.scmm.pretraining import PLAIN, BatchViews, pretraining_gradient
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.soft_weights import WindowTimes
from scmmlab.replica import replicas

pytestmark = pytest.mark.slow

SETTINGS = {
    "published": {},
    "euclidean": {"contrast__distance": "euclidean", "contrast__upper_bound": 0.75},
    "manhattan": {"contrast__distance": "manhattan", "contrast__soft_weight_temperature": 0.5},
    "hard_weights": {"contrast__weights": "hard", "contrast__temperature": 0.1},
    "no_contrast": {"contrast__enabled": False},
    "no_aggregator": {"aggregator__enabled": False},
    "no_reconstruction": {"reconstruction__enabled": False},
    "top_1": {"aggregator__top_k": 1},
    "top_3": {"aggregator__top_k": 3},
    "top_13": {"aggregator__top_k": 13},
    "fixed_weights": {"loss__weighting": "fixed", "loss__contrast_weight": 0.3, "loss__reconstruction_weight": 2.0},
    "neither_contrast_nor_aggregator": {"contrast__enabled": False, "aggregator__enabled": False},
    "cosine_similarity": {"contrast__similarity": "cosine"},
    "divided_by_rows": {"contrast__normaliser": "rows", "contrast__similarity": "cosine", "aggregator__top_k": 3},
    "divided_by_mass": {"contrast__normaliser": "weight_mass"},
    "hard_by_mass": {"contrast__normaliser": "weight_mass", "contrast__weights": "hard"},
    "originals_asked_for": {"reconstruction__target": "original"},
    "hidden_values_alone": {"reconstruction__target": "original", "reconstruction__on": "masked"},
    "nothing_at_all": {"contrast__enabled": False, "reconstruction__enabled": False},
}


def compare(
    names: list[str],
    views: int = 1,
    overwrite: bool = False,
    batch: int = 8,
    shape: Shape = SHAPE,
    how: BatchViews = PLAIN,
    **common: Any,
) -> None:
    experiments = [experiment(masking__views=views, **SETTINGS[name], **common) for name in names]
    parameters, settings, _ = pack(experiments, overwrite=[overwrite] * len(names), shape=shape)
    with torch.no_grad():
        # numbers that tell c₁ from c₂, and batch norms of both signs
        parameters.values += (
            0.3 * torch.randn(parameters.values.shape, generator=torch.Generator().manual_seed(1)).double()
        )
    x_RBCF = windows(len(names), batch, shape=shape)
    keep_RMCF = windows(len(names), batch * views, 1, shape=shape) > 0.4
    references = [ReferenceScmm(shape).load(parameters, replica=r) for r in range(len(names))]
    found, gradient_Rn = pretraining_gradient(parameters, x_RBCF, keep_RMCF, settings, views=how)
    named = parameters.named(gradient_Rn)
    for r, reference in enumerate(references):
        copies, mixture, times = (each if each is None else _replica(each, r) for each in how)
        total, contrast, reconstruction = reference.losses(
            x_RBCF[r], keep_RMCF[r], experiments[r], overwrite, copies, mixture, times
        )
        expected = total.detach(), contrast.detach(), reconstruction.detach()
        enabled = True, experiments[r].contrast.enabled, experiments[r].reconstruction.enabled
        for ours, theirs, takes_part in zip(found, expected, enabled, strict=True):
            torch.testing.assert_close(ours[r], theirs if takes_part else torch.zeros_like(theirs))
        if total.requires_grad:
            total.backward()
        for name, gradient in named.items():
            theirs = reference.get_parameter(name).grad
            theirs = torch.zeros_like(gradient[r]) if theirs is None else theirs
            torch.testing.assert_close(gradient[r], theirs, rtol=1e-9, atol=1e-12)
        uses_pairs = settings.pairs_R[r]
        for name, buffer in reference.named_buffers():
            if uses_pairs or not name.startswith("projector"):
                torch.testing.assert_close(parameters.replica_state(r)[name], buffer, check_dtype=False)


def _replica(each: Any, r: int) -> Any:
    return each[r] if isinstance(each, torch.Tensor) else tuple(tensor[r] for tensor in each)


@pytest.mark.parametrize("name", SETTINGS)
def test_alone(name: str) -> None:
    compare([name])


@pytest.mark.parametrize("chunk", [1, 3, 99])
def test_all_settings_in_one_pack(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "CPU_PRETRAINING", chunk)
    compare(list(SETTINGS))


def test_three_views() -> None:
    compare(["published", "top_3", "hard_weights"], views=3, batch=5)


def test_copies_alone() -> None:
    names = ["published", "hard_by_mass", "divided_by_rows", "hidden_values_alone", "originals_asked_for"]
    compare(names, views=2, batch=5, masking__originals=False)


def test_copies_that_were_changed_before_they_were_masked() -> None:
    compare(["published", "originals_asked_for"], views=2, batch=5, how=BatchViews(copies_RMCF=windows(2, 10, 7)))


def test_weights_in_time() -> None:
    trial = torch.tensor([[0, 0, 0, 1, 1, 2, 2, 2], [5, 0, 5, 0, 5, 5, 5, 5]])
    times = WindowTimes(trial, 4.0 * torch.arange(16, dtype=torch.float64).view(2, 8))
    names = ["published", "divided_by_mass"]
    compare(names, how=BatchViews(times=times), contrast__positives="trial_time", contrast__half_life=7.0)


def test_mixtures() -> None:
    partner = torch.tensor([[1, 0, 2, 4, 5, 3, 7, 6], [7, 6, 5, 4, 3, 2, 1, 0]])
    mixture = Mixture(torch.tensor([0.3, 0.9], dtype=torch.float64), partner)
    how = BatchViews(mixed(windows(2, 8), mixture), mixture)
    compare(["hard_by_mass", "hard_weights"], how=how, augmentation__mixup=1.0)


def test_originals_overwritten() -> None:
    compare(["published", "no_aggregator"], overwrite=True)


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 6, 9])
def test_other_numbers_of_bands(bands: int) -> None:
    compare(["published"], shape=Shape(channels=3, bands=bands, width=8))


def test_fine_tuning() -> None:
    shape, seed_R = SHAPE, torch.tensor([1, 2])
    full, _, _ = pack([experiment(), experiment()])
    encoder, classifier = full.part("encoder."), initial_classifier(shape, seed_R, "cpu", torch.float64)
    references = [ReferenceScmm(shape).load(full, classifier, replica=r) for r in range(2)]
    x_RBCF, label_RB = windows(2, 9), torch.arange(18).view(2, 9) % 3
    found = finetuning_gradient(encoder, classifier, x_RBCF, label_RB)
    for r, reference in enumerate(references):
        logits = reference.logits(x_RBCF[r])
        expected = torch.nn.functional.cross_entropy(logits, label_RB[r])
        expected.backward()
        torch.testing.assert_close(found.loss_R[r], expected.detach())
        torch.testing.assert_close(found.logits_RBK[r], logits.detach())
        for part, flat in ((encoder, found.encoder_Rn), (classifier, found.classifier_Rn)):
            for name, gradient in part.named(flat).items():
                torch.testing.assert_close(gradient[r], reference.get_parameter(name).grad, rtol=1e-9, atol=1e-12)
        reference.eval()
        torch.testing.assert_close(classify(encoder, classifier, x_RBCF)[r], reference.logits(x_RBCF[r]).detach())
        torch.testing.assert_close(encode(encoder, x_RBCF, False)[r], reference.encoder(x_RBCF[r]).flatten(1))
