"""What every method must hold; a test class of a method inherits it.

    class TestMine(MethodConformance):
        method = "mine"
        failing = {"shrinkage": 1e9}

A package of its own finds it in a checkout of scmmlab (docs/extending.md).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from another_value import another
from pydantic.fields import FieldInfo
from reachable import holds
from training_cases import (
    CHANNELS,
    SOURCE,
    TABLES_OF,
    TARGET,
    TRANSFER,
    Interruption,
    MemoryReporter,
    assert_same,
    make_table,
    tables_with,
    with_columns,
)

from scmmlab.config import ExperimentSpec, resolve_variant
from scmmlab.config.base import Spec
from scmmlab.evaluation import make_folds
from scmmlab.methods.contract import FoldResult, FoldRun
from scmmlab.methods.registry import method_of, trainer_of
from scmmlab.replica.windows import WindowPool
from scmmlab.study.keys import cell_key, pretrain_key, sweep_key
from scmmlab.training import CellRequest, PretrainRequest, Reporter, StageFailure, StageOutput
from scmmlab.training.data import Selections, cell_data
from scmmlab.training.finetune_stage import cell_run
from scmmlab.training.stages import run_cell_stage, run_evaluate_stage, run_pretrain_stage

PROTOCOLS: dict[str, dict[str, Any]] = {
    "honest": {"kind": "honest"},
    "honest_best": {"kind": "honest", "epoch_selection": "best_validation"},
    "loso": {"kind": "loso", "subjects_per_fold": 2},
    "zero_shot": {"kind": "zero_shot"},
    "uda_inductive": {"kind": "uda_inductive"},
    "uda_transductive": {"kind": "uda_transductive"},
    "released": {"kind": "released"},
}
WITHIN_SUBJECTS = ("honest", "honest_best", "released")
LEAVING_OUT = ("loso", "zero_shot")


class MethodConformance:
    """The suite."""

    method: ClassVar[str]
    """Its name."""
    settings: ClassVar[dict[str, Any]] = {}
    """Dotted path → value: small and quick."""
    failing: ClassVar[dict[str, Any]]
    """Changes with which every fold fails while it trains."""
    by_heart: ClassVar[dict[str, Any]] = {}
    """Changes with which two trials can be learnt by heart."""
    together: ClassVar[int] = 1
    """Windows that have one prediction: 6, those of a trial, where trials are predicted."""
    contexts: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    """Changes of which, for each setting, one lets it matter."""
    companions: ClassVar[dict[str, dict[str, Any]]] = {}
    """Setting → changes that it needs beside these to be allowed, or to matter."""

    def experiment(self, protocol: str = "honest", **changes: Any) -> ExperimentSpec:
        spec = ExperimentSpec.model_validate({"method": self.method, "protocol": PROTOCOLS[protocol]})
        return resolve_variant(resolve_variant(spec, self.settings), changes)

    def request(self, key: str = "c", seed: int = 0, protocol: str = "honest", **changes: Any) -> CellRequest:
        spec = self.experiment(protocol, **changes)
        return CellRequest(key, spec, seed, TRANSFER, CHANNELS, _encoder(spec, seed) if spec.pretrains else None)

    def runs(self, request: CellRequest, tables: Any = TABLES_OF) -> tuple[FoldRun, ...]:
        return cell_run(request, cell_data(request, Selections(tables))).runs

    def fitted(self, runs: tuple[FoldRun, ...]) -> list[FoldResult]:
        """Trained by the trainer itself, without stages."""
        pack = trainer_of(runs[0].experiment).finetune_pack(runs, _pool(runs))
        for _ in range(runs[0].epochs):
            assert pack.train_epoch() == [None] * len(runs)
        return pack.results()

    # --- what it may know --------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("protocol", WITHIN_SUBJECTS + LEAVING_OUT)
    def test_other_test_labels_change_nothing_that_is_learnt_chosen_or_predicted(self, protocol):
        request = self.request(protocol=protocol)
        before = _finetuned(request)
        folds = make_folds(request.experiment.protocol, SOURCE, TARGET)
        # where a fold tests what another trains on, one fold's labels at a time
        apart = [[number] for number in range(len(folds))]
        for numbers in apart if protocol == "loso" else [list(range(len(folds)))]:
            label = TARGET.label.copy()
            for number in numbers:
                label[folds[number].test] = 1 - label[folds[number].test]
            after = _finetuned(request, tables_with(target=with_columns(TARGET, label=label)))
            for number in numbers:
                assert before.record["folds"][number] == after.record["folds"][number]
                for part in before.tensors.keys() & {f"test_logits.{number}", f"validation_logits.{number}"}:
                    np.testing.assert_array_equal(before.tensors[part], after.tensors[part])

    @pytest.mark.parametrize("protocol", WITHIN_SUBJECTS + LEAVING_OUT)
    def test_nothing_that_its_trainer_is_handed_leads_to_a_test_label(self, protocol):
        table = _irregular_table()
        request = self.request(protocol=protocol)
        runs = self.runs(request, tables_with(source=_irregular_table(1), target=table))
        within = protocol in WITHIN_SUBJECTS
        for handed in [runs] if within else [(run,) for run in runs]:
            pool = _pool(handed)
            pack = trainer_of(request.experiment).finetune_pack(handed, pool)
            pack.train_epoch()
            for run in handed:
                label = table.label[run.data.fold.test]
                assert len(label) >= 16
                assert not holds(label, handed, pool, pack, [pack.checkpoint(r) for r in range(len(handed))])
            assert holds(handed[0].data.finetune_label, handed), "the search must find what is there"

    # --- as if alone -------------------------------------------------------------------------------------------------

    def test_cell_among_others_gives_what_it_gives_alone(self):
        def cells() -> list[CellRequest]:
            return [
                self.request("a"),
                self.request("b", seed=1),
                self.request("loso", protocol="loso"),
                self.request("best", protocol="honest_best"),
                self.request("released", protocol="released"),
            ]

        together = run_cell_stage(cells(), TABLES_OF, Reporter(), pack_size=64)
        for request, packed in zip(cells(), together, strict=True):
            assert_same(packed, run_cell_stage([request], TABLES_OF, Reporter(), pack_size=1)[0])

    def test_cell_whose_neighbour_fails_gives_what_it_gives_alone(self):
        bad = self.request("bad", **self.failing)
        first, failed, last = run_cell_stage(
            [self.request("a"), bad, self.request("b", 1)], TABLES_OF, Reporter(), pack_size=64
        )
        assert isinstance(failed, StageFailure)
        assert "bad" in failed.error, "it says whose fault it is"
        assert "'subject" in failed.error, "it says where"
        assert_same(first, _finetuned(self.request("a")))
        assert_same(last, _finetuned(self.request("b", 1)))

    @pytest.mark.parametrize("protocol", ["honest_best", "released"])
    def test_stopped_at_any_report_and_resumed_equals_never_stopped(self, protocol):
        requests = [self.request("a", protocol=protocol), self.request("b", 1, protocol=protocol)]
        whole = [_finetuned(request) for request in requests]
        for stop in range(2 * requests[0].experiment.epochs("finetune")):
            reporter, every = MemoryReporter(stop), 1 + stop // 2 % 2
            with pytest.raises(Interruption):
                run_cell_stage(requests, TABLES_OF, reporter, checkpoint_every=every)
            resumed = run_cell_stage(requests[::-1], TABLES_OF, reporter, checkpoint_every=every, pack_size=3)
            for one, other in zip(whole, resumed[::-1], strict=True):
                assert_same(one, other)

    def test_checkpoint_before_the_first_epoch_and_after_the_last_is_gone_on_with(self):
        runs = self.runs(self.request(protocol="honest_best"))
        make = functools.partial(trainer_of(runs[0].experiment).finetune_pack, runs, _pool(runs))
        expected = self.fitted(runs)
        pack, other = make(), make()
        for _ in range(runs[0].epochs + 1):
            kept = [pack.checkpoint(r) for r in range(len(runs))]
            for r, checkpoint in enumerate(kept):
                layout = {name: (t.shape, t.dtype) for name, t in checkpoint.tensors.items()}
                assert layout == {name: (t.shape, t.dtype) for name, t in make().checkpoint(r).tensors.items()}
                other.restore(r, checkpoint)
            if kept[0].epoch < runs[0].epochs:
                pack.train_epoch()
        _assert_equal(other.results(), expected)

    def test_global_generators_are_left_alone_and_decide_nothing(self):
        runs = self.runs(self.request())
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        first = self.fitted(runs)
        assert torch.equal(before[0], torch.get_rng_state())
        np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
        torch.manual_seed(2)
        np.random.seed(2)  # noqa: NPY002
        _assert_equal(self.fitted(runs), first)

    def test_prediction_of_a_window_does_not_depend_on_what_is_predicted_with_it(self):
        runs = self.runs(self.request())
        whole = self.fitted(runs)
        rng = np.random.default_rng(0)
        for few in (1, 7):
            chosen = [np.sort(rng.permutation(len(run.data.fold.test))[:few]) for run in runs]
            fewer = [
                replace(run, data=replace(run.data, fold=replace(run.data.fold, test=run.data.fold.test[rows])))
                for run, rows in zip(runs, chosen, strict=True)
            ]
            for one, all_of_them, rows in zip(self.fitted(tuple(fewer)), whole, chosen, strict=True):
                np.testing.assert_array_equal(one.test_logits, all_of_them.test_logits[rows])

    # --- what it learns ----------------------------------------------------------------------------------------------

    def test_labels_that_no_window_tells_are_told_by_chance(self):
        noise = [make_table(name, subjects=8, trials=20, seed=seed) for seed, name in enumerate(("source", "target"))]
        rng = np.random.default_rng(5)
        for table in noise:
            table.features[:] = rng.normal(size=table.features.shape)
        request = self.request(**self.by_heart)
        tables = tables_with(source=noise[0], target=noise[1])
        record = run_evaluate_stage(request, _finetuned(request, tables), tables).record
        accuracy = np.mean([fold["test"]["balanced_accuracy"] for fold in record["folds"]])
        # 384 windows in the test parts: three standard errors
        assert abs(accuracy - 0.5) < 3 * 0.5 / np.sqrt(384 / self.together)

    def test_two_trials_can_be_learnt_by_heart(self):
        for run in self.runs(self.request(**self.by_heart)):
            first = [np.flatnonzero(run.data.finetune_label == label)[:6] for label in (0, 1)]
            rows = np.sort(np.concatenate(first))
            fold = replace(run.data.fold, finetune=run.data.fold.finetune[rows])
            data = replace(run.data, fold=fold, finetune_label=run.data.finetune_label[rows])
            (result,) = self.fitted((replace(run, data=data),))
            assert result.run.curve[-1]["train_accuracy"] == 1.0

    # --- what it is known by -----------------------------------------------------------------------------------------

    def test_every_setting_is_in_the_keys_or_in_a_rule_that_takes_it_out(self):
        fields = dict(_leaves(method_of(self.experiment()).spec))
        assert fields, "a method has a setting"
        for path, field in fields.items():
            changed = []
            for context in self.contexts:
                before = self.experiment(**{**context, **self.companions.get(path, {})})
                value = another(field, functools.reduce(getattr, path.split("."), before))
                after = resolve_variant(before, {path: value})
                changed.append([one != other for one, other in zip(_keys(before), _keys(after), strict=True)])
            assert any(cell for _, cell, _ in changed), f"'{path}' is in no key of a cell"
            rules = method_of(self.experiment()).rules.probe
            named = any(path == rule.path or path.startswith(f"{rule.path}.") for rule in rules)
            assert any(swept for *_, swept in changed) or named, f"'{path}' is in no key of a sweep, and in no rule"

    def test_every_rule_names_a_setting_and_gives_a_reason(self):
        rules = method_of(self.experiment()).rules
        paths = [path for path, _ in _leaves(method_of(self.experiment()).spec)]
        for rule in (*rules.pretrain, *rules.finetune, *rules.probe):
            assert any(path == rule.path or path.startswith(f"{rule.path}.") for path in paths), rule.path
            assert len(rule.why) > 10

    def test_every_setting_is_described(self):
        for path, field in _leaves(method_of(self.experiment()).spec):
            assert field.description, path

    def test_curves_have_the_figures_that_it_names(self):
        output = _finetuned(self.request())
        names = {metric.name for metric in method_of(self.experiment()).metrics["finetune"]}
        for row in output.record["curves"]["finetune"]:
            assert row.keys() == {"epoch"} | names


@functools.cache
def _cached_encoder(spec: str, seed: int) -> dict[str, np.ndarray]:
    experiment = ExperimentSpec.model_validate_json(spec)
    request = PretrainRequest("e", experiment, seed, TRANSFER.source, CHANNELS)
    (output,) = run_pretrain_stage([request], TABLES_OF, Reporter())
    assert isinstance(output, StageOutput), output
    return output.tensors


def _encoder(spec: ExperimentSpec, seed: int) -> dict[str, np.ndarray]:
    # whatever pre-trained encoder; pre-training has tests of its own
    honest = resolve_variant(spec, {"protocol.kind": "honest", "protocol.epoch_selection": "last"})
    return dict(_cached_encoder(honest.model_dump_json(), seed))


def _finetuned(request: CellRequest, tables: Any = TABLES_OF) -> StageOutput:
    (output,) = run_cell_stage([request], tables, Reporter())
    assert isinstance(output, StageOutput), output
    return output


def _pool(runs: tuple[FoldRun, ...]) -> WindowPool:
    arrays = [array for run in runs for array in (run.data.seen_features, run.data.test_features)]
    return WindowPool(arrays, "cpu", torch.float32)


def _assert_equal(first: list[FoldResult], second: list[FoldResult]) -> None:
    for one, other in zip(first, second, strict=True):
        assert (one.run.curve, one.epoch, one.model_digest) == (other.run.curve, other.epoch, other.model_digest)
        np.testing.assert_array_equal(one.test_logits, other.test_logits)
        np.testing.assert_array_equal(one.validation_logits, other.validation_logits)


def _irregular_table(seed: int = 0) -> Any:
    """A table whose labels no other numbers look like by chance."""
    table = make_table("irregular", trials=60, windows=2, seed=seed)
    by_trial = np.random.default_rng(seed).integers(0, 2, size=(4, 60))
    label = by_trial[table.subject, table.trial]
    return with_columns(table, label=label, features=table.features + label[:, None, None])


def _keys(experiment: ExperimentSpec) -> tuple[str | None, str, str]:
    facts = (TRANSFER, SOURCE.manifest, TARGET.manifest, CHANNELS, 0)
    return (
        pretrain_key(experiment, TRANSFER, SOURCE.manifest, CHANNELS, 0),
        cell_key(experiment, *facts),
        sweep_key(experiment, *facts, 5),
    )


def _leaves(spec: type[Spec], before: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """The method's own settings by their dotted paths, and the scaling; the protocol has tests of its own."""
    for name, field in spec.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Spec):
            yield from _leaves(field.annotation, f"{before}{name}.")
        elif name not in ("method", "protocol"):
            yield f"{before}{name}", field
