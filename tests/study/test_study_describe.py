"""What a plan says of a transfer."""

from study_fakes import CHANNELS, ablation, manifest, plan_of, sweep, transfer

from scmmlab.config import CorpusSelection
from scmmlab.study.describe import describe, transfer_sentence


def test_the_class_map_of_a_transfer_is_printed():
    classes = {"calm": ["rest", "sleep"], "busy": ["task"]}
    chosen = transfer(target=CorpusSelection(table="tables/two", classes=classes))
    sentence = transfer_sentence(chosen, manifest("one"), manifest("two"), CHANNELS)
    assert sentence.endswith("classes calm, busy; classes of two rest + sleep → calm, task → busy.")


def test_a_class_that_the_map_leaves_out_is_named():
    chosen = transfer(source=CorpusSelection(table="tables/one", classes={"calm": ["rest"], "busy": ["task"]}))
    sentence = transfer_sentence(chosen, manifest("one"), manifest("two"), CHANNELS)
    assert sentence.endswith("; classes of one rest → calm, task → busy (sleep left out).")


def test_features_that_a_study_mixes_are_named():
    shipped = manifest("one", provenance={"origin": "shipped", "log_base": "not stated", "form": "gaussian"})
    sentence = transfer_sentence(transfer(mixed_features=True), shipped, manifest("two"), CHANNELS)
    assert sentence.endswith(
        "Features of one (shipped) and two (synthetic) are mixed, as the study says: they differ in log base, origin."
    )


def test_what_a_transfer_changes_is_printed_with_who_is_judged_how():
    own = transfer(name="own", set={"finetune.epochs": 3, "protocol": {"finetune_trials": 4}})
    text = describe(plan_of(ablation(transfers=[transfer(), own])))
    assert "    with finetune.epochs 3, protocol.finetune_trials 4\n" in text
    assert "the first 4 trials of each session" in text
    assert "    full (own), no_aggregator (own), frozen (own), no_pretraining (own)\n" in text


def test_plan_says_what_gpu_workers_get_where_the_study_asks_for_gpus():
    variants = {"full": {}, "linear": {"set": {"method": "linear"}}}
    asking = plan_of(ablation(variants=variants, resources={"gpus_per_worker": 1}))
    split = "  on GPU workers 2 pre-trainings and 2 fine-tunings, on CPU workers 2 fine-tunings\n"
    assert describe(asking).endswith(split)
    left = {cell.key for cell in asking.cells if cell.variant == "linear"}
    assert "  on GPU workers none, on CPU workers 2 fine-tunings\n" in describe(asking, {*asking.distinct} - left)
    for resources in ({}, {"gpus_per_worker": 0}):
        plain = plan_of(ablation(variants=variants, resources=resources))
        assert describe(plain) == describe(asking).removesuffix(split)


def test_plan_of_a_sweep_says_which_workers_try_its_settings():
    space = {"c": {"low": 0.1, "high": 10, "log": True}}
    linear = {"base": {"method": "linear"}, "space": space, "asha": None}
    assert "\nSettings are tried by CPU workers.\n" in describe(
        plan_of(sweep(**linear, resources={"gpus_per_worker": 1}))
    )
    assert "\nSettings are tried by GPU workers.\n" in describe(plan_of(sweep(resources={"gpus_per_worker": 1})))
    assert "workers" not in describe(plan_of(sweep(**linear)))


def test_the_condition_under_which_a_path_is_searched_is_printed():
    study = sweep(
        base={"aggregator": {"enabled": False}, "protocol": {"kind": "loso"}},
        space={
            "masking.ratio": {"low": 0.1, "high": 0.9, "when": {"masking.mode": ["random", "hybrid"]}},
            "masking.mode": {"choices": ["none", "random", "hybrid"]},
            "aggregator.top_k": {"choices": [4, None], "when": {"aggregator.enabled": True, "masking.mode": "none"}},
            "pretrain.epochs": {"low": 5, "high": 50, "type": "int", "log": True},
        },
        objectives=["probe", "epochs"],
    )
    lines = describe(plan_of(study)).split("Search space\n")[1].splitlines()
    assert lines[:4] == [
        "  masking.mode      one of none, random, hybrid",
        "  masking.ratio     numbers from 0.1 to 0.9, where masking.mode is random or hybrid",
        "  aggregator.top_k  one of 4, none, where aggregator.enabled is true and masking.mode is none "
        "(never in this base)",
        "  pretrain.epochs   whole numbers from 5 to 50 by logarithm",
    ]
    assert lines[-1].startswith("Fewer epochs are an objective too")
