"""A study file is checked whole before anything starts, and what is wrong is said in its own words."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from scmmlab.config import AblationSpec, IntRange, StudySpec, SweepSpec, json_schema, load_study, study_yaml
from scmmlab.config.yaml_text import parse_yaml
from scmmlab.errors import MovedSettingWarning, SpecError

ROOT = Path(__file__).parents[2]

ABLATION = """
kind: ablation
name: small
base:
  pretrain: {epochs: 20, batch_size: 64, optimizer: {learning_rate: 5e-4}}
  protocol: {kind: honest, subjects_per_fold: 3}
variants:
  full:
  no_aggregator: {aggregator.enabled: false}
  no_masking: {masking: {mode: none}}
  released: {description: as published, set: {protocol.kind: released}}
transfers:
  - name: halves
    source: {table: "shipped:eegmat", subjects: 0-17}
    target: {table: tables/x, subjects: "18-20, 22"}
"""

SWEEP = """
kind: sweep
name: search
base: {protocol: {kind: loso}}
space:
  masking.ratio: {low: 0.1, high: 0.9}
  contrast.temperature: {low: 0.02, high: 1.0, log: true}
  aggregator.top_k: {low: 1, high: 8, type: int}
  masking.mode: {choices: [random, hybrid]}
transfers:
  - name: halves
    source: {table: "shipped:eegmat", subjects: 0-17}
    target: {table: "shipped:eegmat", subjects: 18-35}
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="study.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def message(path, overrides=()):
    with pytest.raises(SpecError) as caught:
        load_study(path, overrides)
    return str(caught.value)


@pytest.mark.parametrize("path", sorted([*ROOT.glob("ablations/*.yaml"), *ROOT.glob("search_spaces/*.yaml")]), ids=str)
def test_shipped_studies_load(path):
    loaded = load_study(path)
    assert loaded.text == path.read_text(encoding="utf-8")
    assert f"scmmlab run {path.relative_to(ROOT)}" in loaded.text.splitlines()[0]


def test_the_short_forms_of_variants_are_written_out(write):
    study = load_study(write(ABLATION)).study
    assert isinstance(study, AblationSpec)
    assert study.variants["full"].set == {}
    assert study.variants["no_aggregator"].set == {"aggregator.enabled": False}
    assert study.variants["no_masking"].set == {"masking": {"mode": "none"}}
    assert study.variants["released"].description == "as published"


def test_a_relative_table_is_taken_from_the_folder_of_the_file(write, monkeypatch, tmp_path):
    path = write(ABLATION, "ablations/study.yaml")
    monkeypatch.chdir(tmp_path)
    transfer = load_study("ablations/study.yaml", ["transfers.0.source.table=other"]).study.transfers[0]
    assert transfer.target.table == str(path.parent / "tables" / "x")
    assert transfer.source.table == str(tmp_path / "other")
    for kept in ("shipped:eegmat", "s3://bucket/x", "/data/x"):
        assert load_study(path, [f"transfers.0.target.table={kept}"]).study.transfers[0].target.table == kept


def test_a_study_written_out_loads_again_as_itself(write):
    for text in (ABLATION, SWEEP):
        study = load_study(write(text)).study
        assert load_study(write(study_yaml(study), "again.yaml")).study == study


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("base.finetune.epochs=5", lambda s: s.base.finetune.epochs == 5),
        ("seeds=[0]", lambda s: s.seeds == (0,)),
        ("resources.workers=2", lambda s: s.resources.workers == 2),
        ("resources={workers: 2}", lambda s: s.resources.workers == 2),
        ("transfers.0.source.subjects=0-3", lambda s: s.transfers[0].source.subjects == (0, 1, 2, 3)),
        ("description=a = b", lambda s: s.description == "a = b"),
        ("variants.full.masking.ratio=0.2", lambda s: s.variants["full"].set == {"masking.ratio": 0.2}),
        (
            "variants.no_aggregator.aggregator.enabled=true",
            lambda s: s.variants["no_aggregator"].set == {"aggregator.enabled": True},
        ),
        (
            "variants.no_masking.set.masking.mode=random",
            lambda s: s.variants["no_masking"].set == {"masking": {"mode": "random"}},
        ),
        ("variants.extra={masking.ratio: 0.3}", lambda s: s.variants["extra"].set == {"masking.ratio": 0.3}),
        ("base.masking.ratio=0.7", lambda s: s.base.masking.ratio == 0.7),
    ],
)
def test_set_changes_the_study(write, override, value):
    assert value(load_study(write(ABLATION), [override]).study)


def test_set_reaches_into_a_search_space(write):
    study = load_study(
        write(SWEEP), ["space.masking.ratio.low=0.3", "space.masking.views={low: 1, high: 2, type: int}"]
    ).study
    assert isinstance(study, SweepSpec)
    assert study.space["masking.ratio"].low == 0.3
    assert isinstance(study.space["masking.views"], IntRange)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("base.finetune.epoch=5", "Unknown key 'base.finetune.epoch' in {} (changed by --set)"),
        ("base.finetune.epoch=5", "did you mean 'epochs'?"),
        ("base.finetun.epochs=5", "Unknown key 'base.finetun' in {} (changed by --set)"),
        ("finetune.epochs=5", "did you mean 'base.finetune'?"),
        ("seeds=3", "Invalid value for 'seeds' in {} (changed by --set): it must be a list, got 3."),
        ("seeds", "--set takes path=value, got 'seeds'."),
        ("seeds=[", "Cannot read --set seeds, line 1"),
        ("transfers.1.name=x", "'transfers' has the positions 0 to 0 (halves), got '1'"),
        ("name.x=1", "'name' is a single value and has no 'x'"),
        ("variants.full.masking.ratio=7", "Invalid value for 'variants.full.masking.ratio' in {} (changed by --set)"),
    ],
)
def test_a_wrong_override_is_refused(write, override, expected):
    path = write(ABLATION)
    assert expected.format(path) in message(path, [override])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "epochs: 20",
            "epoch: 20",
            "Unknown key 'base.pretrain.epoch' in {}: the allowed keys are 'enabled', 'epochs', "
            "'batch_size', 'batches', 'optimizer'; did you mean 'epochs'?",
        ),
        ("epochs: 20", "epochs: many", "'base.pretrain.epochs' in {}: it must be a whole number, got 'many'."),
        ("epochs: 20", "epochs: 0", "'base.pretrain.epochs' in {}: it must be at least 1, got 0."),
        ("5e-4", "2", "Invalid value for 'base.pretrain.optimizer.learning_rate' in {}: it must lie in (0, 1], got 2."),
        (
            "kind: honest",
            "kind: honst",
            "Invalid value for 'base.protocol.kind' in {}: it must be one of 'honest', 'loso', "
            "'zero_shot', 'uda_inductive', 'uda_transductive', 'released', got 'honst'; did you mean 'honest'?",
        ),
        ("kind: honest, ", "", "'base.protocol.kind' in {}: it is missing, and must be one of 'honest'"),
        (
            "subjects_per_fold: 3",
            "subjects_per_fold: 0",
            "'base.protocol.subjects_per_fold' in {}: it must be at least 1",
        ),
        (
            "aggregator.enabled: false",
            "agregator.enabled: false",
            "Unknown key 'variants.no_aggregator.agregator' in {}",
        ),
        ("aggregator.enabled: false", "aggregator.enabled: no", "it must be true or false, got 'no'"),
        ("mode: none", "mode: nil", "Invalid value for 'variants.no_masking.masking.mode' in {}"),
        ("kind: released", "kind: relesed", "Invalid value for 'variants.released.protocol.kind' in {}"),
        (
            "0-17",
            "0-x",
            "'transfers.0.source.subjects' in {}: it must be numbers and ranges such as '0-17, 20', got '0-x'.",
        ),
        (
            "0-17",
            "17-0",
            "'transfers.0.source.subjects' in {}: it must be ascending ranges of at most 100,000 numbers, got '17-0'.",
        ),
        ("0-17", "0-99999999999", "of at most 100,000 numbers, got '0-99999999999'."),
        (
            "source:",
            "sorce:",
            "'transfers.0.sorce' in {}: the allowed keys are 'name', 'source', 'target', 'mixed_features', 'set'; "
            "did you mean 'source'?",
        ),
        ("kind: ablation", "kind: ablations", "'kind' in {}: it must be one of 'ablation', 'sweep', got 'ablations'"),
        ("kind: ablation", "", "'kind' in {}: it is missing"),
        ("name: small", "name: a b", "Invalid value for 'name' in {}: it must match pattern"),
        ("name: small", "name: small\nsedes: [1]", "did you mean 'seeds'?"),
        ("name: small", "name: small\nseeds: [1, 1]", "Invalid study in {}: seeds must be distinct, got [1, 1]."),
        ("name: small", "name: small\nmasking: {ratio: 0.1}", "Unknown key 'masking' in {}: it belongs beneath 'base'"),
        ("  full:", "  complete:", "statistics.reference must be one of the variants"),
        (
            "description: as published,",
            "describtion: as published,",
            "Unknown key 'variants.released.describtion' in {}",
        ),
        ("name: small", "name: small\nname: big", "duplicate key 'name'"),
    ],
)
def test_a_mistake_is_named_with_file_path_and_what_is_allowed(write, before, after, expected):
    assert before in ABLATION
    path = write(ABLATION.replace(before, after, 1))
    text = message(path)
    assert expected.format(path) in text
    assert "\n" not in text


def test_all_mistakes_of_a_file_are_said_together(write):
    text = ABLATION.replace("epochs: 20", "epoch: 20").replace("aggregator.enabled", "aggregator.enable")
    text = text.replace("batch_size: 64", "batch_size: '64'") + "seeds: 3\n"
    lines = message(write(text)).splitlines()
    assert lines[0] == "3 things are wrong with the study:"
    assert [line.split("'")[1] for line in lines[1:]] == ["base.pretrain.epoch", "seeds", "base.pretrain.batch_size"]


def test_a_search_space_may_name_a_setting_by_its_former_path(write):
    text = SWEEP.replace(
        "  masking.mode: {choices: [random, hybrid]}", "  protocol.zero_grad: {choices: [true, false]}"
    ).replace("name: search", "name: search\npoints: [{protocol.zero_grad: false}]")
    with pytest.warns(MovedSettingWarning, match=r"'protocol\.zero_grad' is now 'finetune\.zero_grad'"):
        study = load_study(write(text)).study
    assert isinstance(study, SweepSpec)
    assert "finetune.zero_grad" in study.space
    assert study.points == ({"finetune.zero_grad": False},)


def test_mistakes_of_several_variants_are_said_together(write):
    text = ABLATION.replace("aggregator.enabled", "aggregator.enable").replace("mode: none", "mode: nil")
    assert message(write(text)).startswith("2 things are wrong")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("high: 0.9", "high: 1.0", "Invalid value for 'space.masking.ratio' in {}: it must lie in [0, 1), got 1.0."),
        ("high: 0.9", "high: 0.05", "low must be less than high, got low 0.1 and high 0.05"),
        (
            "low: 0.1",
            "lo: 0.1",
            "Unknown key 'space.masking.ratio.lo' in {}: the allowed keys are 'low', 'high', 'log', 'step'",
        ),
        ("masking.ratio", "masking.ration", "Unknown key 'space.masking.ration' in {}"),
        (", type: int", "", "'space.aggregator.top_k' in {}: it must be a whole number or null, got"),
        (", type: int", "", "'type: int' makes the range one of whole numbers"),
        (
            "high: 8, type: int",
            "high: 8.5, type: int",
            "'space.aggregator.top_k.high' in {}: it must be a whole number",
        ),
        ("[random, hybrid]", "[random, hybird]", "got 'hybird'; did you mean 'hybrid'?"),
        ("choices:", "choice:", "Unknown key 'space.masking.mode.choice' in {}: the allowed keys are 'choices'"),
        ("[random, hybrid]", "[random, {a: 1}]", "it must be a single value, got"),
        ("kind: loso", "kind: released", "in a sweep, which needs a validation part, got 'released'"),
        (
            "name: search",
            "name: search\npoints: [{masking.ratio: 0.95}]",
            "it must lie in [0.1, 0.9] as its space says, got 0.95",
        ),
        ("name: search", "name: search\npoints: [{masking.mode: none}]", "it must be one of the choices"),
        ("name: search", "name: search\npoints: [{masking.views: 2}]", "points may only name paths of the space"),
        ("masking.mode: {choices: [random, hybrid]}", "method: {choices: [scmm, linear]}", "a sweep tunes one method"),
    ],
)
def test_a_mistake_in_a_search_space_is_named(write, before, after, expected):
    assert before in SWEEP
    path = write(SWEEP.replace(before, after, 1))
    text = message(path)
    assert expected.format(path) in text
    assert "\n" not in text


@pytest.mark.parametrize("whole_sweep", [False, True])
def test_a_search_space_may_stand_in_a_file_of_its_own(write, whole_sweep):
    space = "masking.ratio: {low: 0.1, high: 0.9}\n"
    other = write(SWEEP if whole_sweep else space, "spaces/scmm.yaml")
    text = SWEEP[: SWEEP.index("space:")] + "space: ../spaces/scmm.yaml\n" + SWEEP[SWEEP.index("transfers:") :]
    path = write(text, "ablations/sweep.yaml")
    study = load_study(path, ["space.masking.ratio.high=0.8"]).study
    assert isinstance(study, SweepSpec)
    assert study.space["masking.ratio"].high == 0.8
    other.write_text(other.read_text().replace("masking.ratio", "masking.ration"))
    wrong = message(path)
    assert "Unknown key 'space.masking.ration'" in wrong
    assert f"in {path.parent / '../spaces/scmm.yaml'}" in wrong


def test_a_missing_file_is_named_with_the_nearest_one(write):
    path = write(ABLATION, "demo.yaml")
    assert f"did you mean {path}?" in message(path.with_name("dmeo.yaml"))


def test_what_is_no_study_is_refused(write, tmp_path):
    assert "A study must be a mapping" in message(write("- 1\n- 2"))
    assert "A study must be a mapping of keys to values, got null" in message(write(""))
    assert "Is a directory" in message(tmp_path)
    binary = tmp_path / "x.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "it is not UTF-8 text" in message(binary)


def test_the_json_schema_knows_the_short_forms():
    schema = json_schema()
    assert schema["discriminator"]["propertyName"] == "kind"
    variants = schema["$defs"]["AblationSpec"]["properties"]["variants"]["patternProperties"]
    assert [list(form) for form in next(iter(variants.values()))["anyOf"]][-1] == ["type"]
    assert schema["$defs"]["MaskingSpec"]["properties"]["ratio"]["description"].startswith("Probability")
    text = ABLATION.replace("tables/x", "shipped:eegmat")
    TypeAdapter(StudySpec).validate_python(parse_yaml(study_yaml_of(text), "x"))


def study_yaml_of(text):
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(text)
        return study_yaml(load_study(path).study)
