"""A variant of another method takes over what both have, whether or not the base's defaults are written out."""

from __future__ import annotations

import pytest
import yaml

from scmmlab.config import AblationSpec, resolve_variant
from scmmlab.config.loading import study_yaml

VARIANTS = {
    "same": {},
    "linear": {"method": "linear"},
    "strong": {"method": "linear", "c": 100.0},
    "unscaled": {"method": "linear", "scaling": "none"},
    "mlp": {"method": "mlp"},
    "quick": {"method": "mlp", "finetune.epochs": 1},
    "scmm": {"method": "scmm"},
    "released": {"method": "linear", "protocol.kind": "released"},
}
BASES = [
    {},
    {"scaling": "none"},
    {"scaling": "min_max", "protocol": {"kind": "loso", "subjects_per_fold": 3}},
    {"masking": {"ratio": 0.3}, "finetune": {"epochs": 5}},
    {"method": "linear"},
    {"method": "linear", "scaling": "min_max", "c": 2.0},
    {"method": "mlp", "finetune": {"batch_size": 16}},
]


def study_of(base):
    side = {"table": "a"}
    return AblationSpec.model_validate(
        {
            "name": "methods",
            "base": base,
            "variants": {name: {"set": changes} for name, changes in VARIANTS.items()},
            "transfers": [{"name": "t", "source": side, "target": side}],
            "statistics": {"reference": "same"},
        }
    )


@pytest.mark.parametrize("base", BASES, ids=str)
def test_study_with_every_default_written_out_has_the_same_cells(base):
    study = study_of(base)
    written = AblationSpec.model_validate(yaml.safe_load(study_yaml(study)))
    assert written.base == study.base
    for name, variant in study.variants.items():
        once, again = (resolve_variant(one.base, variant.set) for one in (study, written))
        assert type(once) is type(again)
        assert once.model_dump() == again.model_dump(), name


@pytest.mark.parametrize(
    ("base", "changes", "scaling"),
    [
        ({}, {"method": "linear"}, "standard"),
        ({"scaling": "min_max"}, {"method": "linear"}, "standard"),
        ({"scaling": "none"}, {"method": "linear"}, "none"),
        ({"scaling": "none"}, {"method": "linear", "scaling": "min_max"}, "min_max"),
        ({"method": "linear"}, {"method": "scmm"}, "min_max"),
        ({"method": "linear", "scaling": "min_max"}, {"method": "mlp"}, "min_max"),
    ],
)
def test_scaling_is_the_base_s_own_or_the_method_s_default(base, changes, scaling):
    assert resolve_variant(study_of(base).base, changes).scaling == scaling
