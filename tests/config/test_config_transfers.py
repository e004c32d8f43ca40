"""What a transfer changes in the base: settings of its own, before a variant's."""

import pytest

from scmmlab.config import CorpusSelection, HonestProtocol, TransferSpec, load_study, resolve_transfer
from scmmlab.errors import SpecError
from scmmlab.methods.scmm.spec import ScmmSpec

GRID = """
kind: ablation
name: two
base: {finetune: {epochs: 5}, protocol: {kind: honest, finetune_trials: 9}}
variants:
  full:
  released: {protocol.kind: released}
  long: {finetune.epochs: 70}
transfers:
  - {name: a-to-b, source: {table: a}, target: {table: b}}
  - name: b-to-a.2
    source: {table: b}
    target: {table: a}
    set: {finetune.epochs: 50, protocol.finetune_trials: 4, contrast: {temperature: 0.05}}
statistics: {reference: full}
"""


def transfer(**changes):
    return TransferSpec(name="t", source=CorpusSelection(table="a"), target=CorpusSelection(table="b"), set=changes)


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(GRID)
    return path


def test_a_variant_comes_after_the_transfer_and_the_transfer_after_the_base():
    base = ScmmSpec(finetune={"epochs": 5}, protocol=HonestProtocol(finetune_trials=9))
    own = transfer(**{"finetune.epochs": 50, "contrast.temperature": 0.05})
    assert resolve_transfer(base, transfer(), {}) == base
    assert resolve_transfer(base, own, {}).finetune.epochs == 50
    assert resolve_transfer(base, own, {"finetune.epochs": 70}).finetune.epochs == 70
    assert resolve_transfer(base, own, {"finetune.epochs": 70}).contrast.temperature == 0.05


def test_what_a_transfer_says_of_its_split_stays_when_a_variant_changes_the_protocol():
    base = ScmmSpec(protocol=HonestProtocol(finetune_trials=9))
    own = transfer(**{"protocol.finetune_trials": 4, "protocol.trial_order": "time_within_class"})
    protocol = resolve_transfer(base, own, {"protocol.kind": "released"}).protocol
    assert (protocol.kind, protocol.finetune_trials, protocol.trial_order) == ("released", 4, "time_within_class")


@pytest.mark.parametrize("name", ["1", "b-to-a.2"])
def test_a_transfer_is_changed_by_its_place_or_by_its_name(study, name):
    changes = [f"transfers.{name}.set.finetune.epochs=2", f"transfers.{name}.set.masking.ratio=0.3"]
    first, second = load_study(study, changes).study.transfers
    assert first.set == {}
    assert second.set["finetune.epochs"] == 2
    assert second.set["masking.ratio"] == 0.3
    assert second.set["protocol.finetune_trials"] == 4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("transfers.b-to-a.2.set.finetune.epoch=2", "Unknown key 'transfers.1.set.finetune.epoch'"),
        ("transfers.1.set.finetune.epochs=0", "Invalid value for 'transfers.1.set.finetune.epochs'"),
        ("transfers.1.set.protocol.kind=released", "a transfer keeps the base's 'honest', got 'released'"),
        ("transfers.b-to-c.set.finetune.epochs=2", "the positions 0 to 1 (a-to-b, b-to-a.2), got 'b-to-c'"),
        ("transfers.1.set.pretrain.enabled=maybe", "Invalid value for 'transfers.1.set.pretrain.enabled'"),
    ],
)
def test_a_change_that_cannot_be_is_refused(study, change, expected):
    with pytest.raises(SpecError) as caught:
        load_study(study, [change])
    assert expected in str(caught.value)


def test_a_variant_that_fits_the_base_but_not_a_transfer_is_refused(study):
    change = "transfers.1.set={contrast.enabled: false}"
    load_study(study, [change])
    with pytest.raises(SpecError, match="neither the contrastive nor the reconstruction loss takes part"):
        load_study(study, [change, "variants.full.reconstruction.enabled=false"])


def test_a_sweep_has_no_changes_of_a_transfer(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "kind: sweep\nname: s\nspace: {masking.ratio: {low: 0.1, high: 0.9}}\n"
        "transfers: [{name: t, source: {table: a}, target: {table: b}, set: {finetune.epochs: 3}}]\n"
    )
    with pytest.raises(SpecError, match="belongs beneath 'base'"):
        load_study(path)
