"""A plan is the whole grid in a fixed order, its shared stages named and its mistakes found before anything starts."""

import numpy as np
import pytest
from study_fakes import BANDS, CHANNELS, MANIFESTS, ablation, manifest, plan_of, sweep, transfer

from scmmlab.config import CorpusSelection, resolve_variant
from scmmlab.errors import CorpusError, SpecError, SplitError
from scmmlab.methods.scmm.spec import PretrainSpec, ScmmSpec
from scmmlab.study import (
    Rates,
    cell_request,
    check_splits,
    describe,
    estimate_seconds,
    finetune_steps,
    make_plan,
    pretrain_request,
    pretrain_steps,
    sweep_request,
)
from scmmlab.tables import FeatureTable


def test_cells_come_in_the_order_of_variants_transfers_and_seeds():
    plan = plan_of(
        ablation(
            transfers=[transfer(), transfer(name="again", target=CorpusSelection(table="tables/two", subjects=(1, 2)))]
        )
    )
    order = [(cell.variant, cell.transfer.name, cell.seed) for cell in plan.cells]
    variants = ["full", "no_aggregator", "frozen", "no_pretraining"]
    assert order == [(v, t, s) for v in variants for t in ("one-to-two", "again") for s in (0, 1)]
    assert plan.cells[0].name == "full · one-to-two · 0"


def test_planning_twice_gives_the_same_plan():
    assert plan_of().to_json() == plan_of().to_json()


def test_a_stage_that_several_cells_need_stands_once():
    plan = plan_of()
    shared = plan.pretraining[plan.cells[0].pretrain_key]
    assert [cell.variant for cell in shared] == ["full", "frozen"]
    assert len(plan.pretraining) == 4
    assert plan.saved == (2, 0)


def test_variants_that_differ_in_nothing_that_matters_are_run_once():
    plan = plan_of(ablation(variants={"full": {}, "same": {"set": {"loss.contrast_weight": 0.5}}}))
    assert len(plan.cells) == 4
    assert len(plan.distinct) == 2
    assert plan.saved == (2, 2)
    assert "to run, the same as full" in describe(plan)


def test_resources_and_the_places_of_tables_change_no_cell():
    other = {f"/elsewhere/{name}": found for name, found in MANIFESTS.items()}
    moved = transfer(
        source=CorpusSelection(table="/elsewhere/tables/one"), target=CorpusSelection(table="/elsewhere/tables/two")
    )
    plan = plan_of(ablation(transfers=[moved], resources={"workers": 7, "pack_size": 3}), other)
    assert plan.key == plan_of().key
    assert list(plan.distinct) == list(plan_of().distinct)


def test_channels_are_those_in_common_in_the_sources_order():
    manifests = {**MANIFESTS, "tables/two": manifest("two", channels=("PZ", "X1", "fp1"))}
    plan = plan_of(manifests=manifests)
    assert plan.cells[0].channels == ("Fp1", "Pz")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"source": CorpusSelection(table="tables/one", subjects=(3, 40, 41))},
            "has subjects 0-7, got 40-41, which it",
        ),
        ({"target": CorpusSelection(table="tables/two", classes=("rest", "tusk"))}, "got 'tusk'; did you mean 'task'?"),
        ({"target": CorpusSelection(table="tables/two", classes=("rest",))}, "must have at least two classes, got one"),
        ({"target": CorpusSelection(table="tables/one")}, "would leak: source and target are both of corpus 'one'"),
    ],
)
def test_a_transfer_that_cannot_be_is_refused(changes, expected):
    with pytest.raises(SpecError) as caught:
        plan_of(ablation(transfers=[transfer(**changes)]))
    assert expected in str(caught.value)
    assert "'one-to-two'" in str(caught.value)


def test_two_halves_of_one_table_do_not_leak():
    halves = transfer(
        source=CorpusSelection(table="tables/one", subjects=(0, 1, 2, 3)),
        target=CorpusSelection(table="tables/one", subjects=(4, 5)),
    )
    assert len(plan_of(ablation(transfers=[halves])).cells) == 8


def test_a_table_made_twice_from_the_same_recordings_leaks_too():
    raw = {"a.edf": "0" * 64}
    manifests = {
        "tables/one": manifest("one", raw_files=raw),
        "tables/two": manifest("one", raw_files=raw, window_s=2.0, fingerprint="other"),
    }
    with pytest.raises(SpecError, match="would leak"):
        plan_of(manifests=manifests)


def test_features_that_were_made_differently_are_refused():
    with pytest.raises(CorpusError, match="cannot be mixed: expected the same bands"):
        plan_of(manifests={**MANIFESTS, "tables/two": manifest("two", bands={"theta": (4.0, 8.0)})})


def test_a_batch_larger_than_the_source_is_refused():
    with pytest.raises(SpecError, match=r"'pretrain.batch_size' of variant 'full': it must be at most the 800 windows"):
        plan_of(ablation(base=ScmmSpec(pretrain=PretrainSpec(batch_size=801))))


def test_zero_shot_needs_the_same_classes():
    target = CorpusSelection(table="tables/two", classes=("task", "rest"))
    study = ablation(variants={"full": {"set": {"protocol.kind": "zero_shot"}}}, transfers=[transfer(target=target)])
    with pytest.raises(SpecError, match="needs the same classes in source and target"):
        plan_of(study)


def test_a_missing_table_is_refused_before_anything_starts():
    def missing(location):
        raise CorpusError(f"There is no table {location}.")

    with pytest.raises(CorpusError, match="tables/one"):
        make_plan(ablation(), missing)


def test_a_description_says_what_is_run_shared_and_seen():
    plan = plan_of(ablation(variants={"full": {}, "released": {"set": {"protocol.kind": "released"}}}))
    done = {plan.cells[0].key, plan.cells[0].pretrain_key}
    text = describe(plan, done)
    assert "2 variants × 1 transfer × 2 seeds = 4 cells" in text
    assert (
        "from one (8 subjects: 0-7) to two (8 subjects: 0-7); 4 channels × 2 bands; classes rest, task, sleep." in text
    )
    assert "honest: the first 60% of the trials of each session of each target subject are fine-tuned on" in text
    assert "the epoch that is best ON THE TEST LABELS is reported." in text
    assert "4 pre-trainings, 3 to run" in text
    assert "4 fine-tunings, 3 to run" in text
    assert text.count("finished") == 1


def test_a_sweep_describes_its_space_and_samples_cells():
    study = sweep(points=[{"masking.ratio": 0.5}])
    plan = plan_of(study)
    text = describe(plan)
    assert "sweep 'search': 32 settings, 4 at a time, by tpe" in text
    assert "masking.ratio  numbers from 0.1 to 0.9" in text
    assert "masking.mode   one of random, hybrid" in text
    assert "one in 3 goes on" in text
    cell = plan.sampled("t0", {"masking.ratio": 0.3})
    assert cell.experiment == resolve_variant(study.base, {"masking.ratio": 0.3})
    assert cell.key != plan.sampled("t1", {"masking.ratio": 0.4}).key
    assert cell.key == plan.sampled("t1", {"masking.ratio": 0.3}).key
    request = sweep_request(cell, study)
    assert (request.key, request.seed, request.report_every) == (cell.key, 0, 5)


def test_requests_carry_what_a_stage_needs():
    plan = plan_of()
    cell = plan.cells[0]
    request = pretrain_request(cell)
    assert (request.key, request.seed, request.channels) == (cell.pretrain_key, 0, CHANNELS)
    assert request.source == cell.transfer.source
    encoder = {"w": np.ones(2)}
    assert cell_request(cell, encoder).encoder is encoder
    without = next(cell for cell in plan.cells if cell.variant == "no_pretraining")
    assert cell_request(without, None).encoder is None


def test_the_estimate_counts_shared_and_finished_stages_once():
    plan = plan_of()
    rates = Rates(pretrain_steps=10.0, finetune_steps=100.0, start_up=5.0)
    cell = plan.cells[0]
    pretrain = pretrain_steps(cell, plan.source(cell.transfer))
    finetune = finetune_steps(cell, plan.source(cell.transfer), plan.target(cell.transfer))
    assert pretrain == 200 * (800 // 256)
    assert finetune == 8 * 50 * 1  # 45 of a subject's 100 windows are one batch
    whole = estimate_seconds(plan, (), rates)
    assert whole == pytest.approx(5 + 4 * pretrain / 10 + 8 * finetune / 100)
    done = {cell.key, cell.pretrain_key}
    assert estimate_seconds(plan, done, rates) == pytest.approx(whole - pretrain / 10 - finetune / 100)
    everything = {*plan.distinct, *plan.pretraining}
    assert estimate_seconds(plan, everything, rates) == 0


MIXED = {"full": {}, "frozen": {"set": {"finetune.freeze_encoder": True}}, "linear": {"set": {"method": "linear"}}}


def test_stages_are_counted_where_they_run():
    plan = plan_of(ablation(variants=MIXED))
    everywhere = {"any": {"pretrain": 2, "finetune": 4}, "cpu": {"finetune": 2}}
    assert plan.stages_by_place() == everywhere
    linear = {cell.key for cell in plan.cells if cell.variant == "linear"}
    assert plan.stages_by_place(linear) == {"any": everywhere["any"]}
    assert plan.stages_by_place({*plan.pretraining, *plan.distinct} - linear) == {"cpu": everywhere["cpu"]}
    assert plan.stages_by_place({*plan.pretraining, *plan.distinct}) == {}


def test_plan_as_json_says_what_gpu_workers_get_where_the_study_asks_for_gpus():
    asking = plan_of(ablation(variants=MIXED, resources={"gpus_per_worker": 0.5})).to_json()
    assert asking.pop("workers") == {"gpu": {"pretrain": 2, "finetune": 4}, "cpu": {"pretrain": 0, "finetune": 2}}
    for resources in ({}, {"gpus_per_worker": 0}):
        assert plan_of(ablation(variants=MIXED, resources=resources)).to_json() == asking, "the same cells, and no more"


def test_the_estimate_knows_each_protocol():
    def steps(protocol, **more):
        changes = {"protocol": protocol, "finetune.batch_size": 10, **more}
        plan = plan_of(ablation(variants={"full": {"set": changes}}))
        cell = plan.cells[0]
        source, target = plan.source(cell.transfer), plan.target(cell.transfer)
        return pretrain_steps(cell, source), finetune_steps(cell, source, target)

    assert steps({"kind": "loso"}) == (600, 8 * 50 * 53)  # 7 of 8 subjects, three quarters of them
    assert steps({"kind": "zero_shot"}) == (600, 8 * 50 * 60)
    assert steps({"kind": "released"}) == (600, 8 * 50 * 6)
    few = {"pretrain.batches": 1}
    assert steps({"kind": "released", "split": "leave_subjects_out"}, **few) == (200, 8 * 50 * 70)
    assert estimate_seconds(plan_of(sweep()), (), Rates(10.0, 10.0)) == 32 * 600 / 10


def table(corpus, trials):
    """Subjects 0 to 7 with `trials` trials of two windows, the classes in turn."""
    subject, trial, window = (part.ravel() for part in np.meshgrid(range(8), range(trials), range(2), indexing="ij"))
    return FeatureTable.assemble(
        manifest(corpus),
        subject=subject,
        session=np.zeros_like(subject),
        trial=trial,
        window=window,
        label=trial % 3,
        features=np.zeros((len(subject), len(CHANNELS), len(BANDS)), dtype=np.float32),
        where=corpus,
    )


def with_batches_of(windows):
    return ablation(base=resolve_variant(ScmmSpec(), {"pretrain.batch_size": windows}))


def test_every_split_is_tried_before_anything_starts():
    tables = {"tables/one": table("one", 15), "tables/two": table("two", 15)}
    plan = plan_of(with_batches_of(240))
    folds = check_splits(plan, tables.__getitem__)
    assert set(folds) == set(plan.distinct)
    assert all(len(of_cell) == 8 for of_cell in folds.values())
    tables["tables/two"] = table("two", 3)
    with pytest.raises(SplitError, match="Variant 'full', transfer 'one-to-two': "):
        check_splits(plan, tables.__getitem__)


def test_a_selected_source_must_have_one_full_batch():
    tables = {"tables/one": table("one", 15), "tables/two": table("two", 15)}
    with pytest.raises(SpecError, match="at most the 240 windows of the source of transfer 'one-to-two', got 241"):
        check_splits(plan_of(with_batches_of(241)), tables.__getitem__)
