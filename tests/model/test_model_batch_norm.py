"""Batch norm: rows that do not count, running statistics, frozen mode."""

from __future__ import annotations

import torch
from model_packs import SHAPE, experiment, pack, windows

from scmmlab.methods.scmm.encoder import encode
from scmmlab.methods.scmm.finetuning import classify, finetuning_gradient
from scmmlab.methods.scmm.parameters import initial_classifier
from scmmlab.replica.parameters import Parameters


def encoders(replicas: int) -> Parameters:
    return pack([experiment()] * replicas)[0].part("encoder.")


def test_masked_rows_have_no_influence() -> None:
    x = windows(1, 9)
    rubbish = x.clone()
    rubbish[:, 5:] = 1e3
    mask = torch.arange(9).unsqueeze(0) < 5
    for batch in (x, rubbish):
        masked, short = encoders(1), encoders(1)
        h = encode(masked, batch, True, mask)
        expected = encode(short, x[:, :5], True)
        torch.testing.assert_close(h[:, :5], expected)
        for name, tensor in short.replica_state(0).items():
            torch.testing.assert_close(masked.replica_state(0)[name], tensor)


def test_gradients_of_a_masked_batch_are_those_of_the_short_one() -> None:
    seed_R = torch.tensor([4])
    x, label, mask = windows(1, 9), torch.arange(9).unsqueeze(0) % 3, torch.arange(9).unsqueeze(0) < 5
    classifier = initial_classifier(SHAPE, seed_R, "cpu", torch.float64)
    encoder = encoders(1)
    long = finetuning_gradient(encoder, classifier, x, label, mask)
    short = finetuning_gradient(encoder, classifier, x[:, :5], label[:, :5])
    torch.testing.assert_close(long.loss_R, short.loss_R)
    torch.testing.assert_close(long.logits_RBK[:, :5], short.logits_RBK)
    torch.testing.assert_close(long.encoder_Rn, short.encoder_Rn)
    torch.testing.assert_close(long.classifier_Rn, short.classifier_Rn)


def test_a_replica_without_rows_keeps_everything() -> None:
    x, mask = windows(2, 6), torch.tensor([[True] * 6, [False] * 6])
    encoder = encoders(2)
    before = encoder.replica_state(1)
    classifier = initial_classifier(SHAPE, torch.tensor([0, 1]), "cpu", torch.float64)
    label = torch.zeros(2, 6, dtype=torch.int64)
    found = finetuning_gradient(encoder, classifier, x, label, mask)
    assert found.loss_R[1] == 0
    assert bool((found.encoder_Rn[1] == 0).all() and (found.classifier_Rn[1] == 0).all())
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.replica_state(1).items())
    assert int(encoder.batches_tracked["encoder.1"][0]) == 1


def test_running_statistics_of_inactive_replicas_stay() -> None:
    encoder = encoders(2)
    encode(encoder, windows(2, 6), True, active_R=torch.tensor([False, True]))
    untouched = encoders(2)
    encode(untouched, windows(2, 6), True)
    assert bool((encoder.running_mean["encoder.5"][0] == 0).all())
    assert encoder.batches_tracked["encoder.5"].tolist() == [0, 1]
    torch.testing.assert_close(encoder.replica_state(1), untouched.replica_state(1))


def test_a_frozen_encoder_neither_learns_nor_counts() -> None:
    encoder, x, seed_R = encoders(1), windows(1, 6), torch.tensor([1])
    encode(encoder, x, True)
    before = encoder.replica_state(0)
    classifier = initial_classifier(SHAPE, seed_R, "cpu", torch.float64)
    found = finetuning_gradient(encoder, classifier, x, torch.zeros(1, 6, dtype=torch.int64), freeze_encoder=True)
    torch.testing.assert_close(found.logits_RBK, classify(encoder, classifier, x))
    assert bool((found.encoder_Rn == 0).all())
    assert bool((found.classifier_Rn != 0).any())
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.replica_state(0).items())


def test_a_mean_far_from_zero_does_not_cancel() -> None:
    x = windows(1, 64, dtype=torch.float32)
    far = x + 1000
    truth = pack([experiment()])[0].part("encoder.")
    single = pack([experiment()], dtype=torch.float32)[0].part("encoder.")
    expected = encode(truth, far.double(), True)
    error = (encode(single, far, True) - expected).norm() / expected.norm()
    assert error < 2e-3
