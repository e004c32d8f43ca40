from training_cases import experiment

from scmmlab.training.rates import measure_rates


def test_rates_are_positive_for_every_kind_of_cell():
    for changes in (
        {},
        {"masking": {"views": 2}},
        {"finetune": {"freeze_encoder": True}},
        {"protocol": {"kind": "released"}},
        {"protocol": {"kind": "honest", "epoch_selection": "best_validation"}},
    ):
        rates = measure_rates(experiment(**changes), channels=3, classes=3, seconds=0.0, pack_size=2)
        assert rates.pretrain_steps > 0
        assert rates.finetune_steps > 0
