"""What is of no class is left out with the number of its trials, or refused, wherever the labels come from."""

import shutil

import lab_files
import pytest
from edf_files import spoil

from scmmlab.corpora import LeftOut, Recording
from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.errors import CorpusError
from scmmlab.tables import build_table

CLASSES = lab_files.LAYOUT["labels"]["classes"]
FILES = {"files": "{condition}_{subject}.edf"}
TABLE = {"kind": "table", "file": "t.csv", "match": {"subject": "subject"}}
RATINGS = {
    "kind": "column",
    "column": "valence",
    "classes": [{"name": "low", "below": 4}, {"name": "high", "at_least": 6}],
}
GROUPS = {"kind": "participant", "column": "group", "classes": CLASSES}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("lab")
    for number, name in enumerate(("calm_1", "tense_2", "rest_3")):
        lab_files.write_edf(root / f"{name}.edf", seed=number)
    return root


@pytest.fixture
def root(written, tmp_path):
    return shutil.copytree(written, tmp_path / "corpus")


def reader(labels, trials=None, **others):
    layout = lab_files.layout(recordings=FILES, trials=trials or {"kind": "annotations"}, labels={**labels, **others})
    return MneReader(layout=layout)


def write_table(root, *ratings):
    rows = [f"{subject},{3 + 10 * index},6,{value}" for subject, values in enumerate(ratings, 1)
            for index, value in enumerate(values)]  # fmt: skip
    (root / "t.csv").write_text("\n".join(["subject,onset,duration,valence", *rows]) + "\n")


def write_groups(root, *rows):
    (root / "participants.tsv").write_text("\n".join(["participant_id\tgroup", *rows]) + "\n")


def of(what, trials, where="rest_3.edf", why="of no class"):
    return LeftOut(where=where, what=what, why=why, trials=trials)


def build(a_reader, root, tmp_path):
    """What is left out of recordings, and the numbers of the subjects that are not."""
    manifest = build_table(a_reader, root, tmp_path / "table").manifest
    checked = list(a_reader.check(root))
    assert all(finding.ok for finding in checked)
    in_files = [each for each in manifest.left_out if each.where.endswith(".edf")]
    assert in_files == [finding.left_out for finding in checked if finding.left_out and finding.where.endswith(".edf")]
    return in_files, sorted(manifest.subjects)


def test_a_recording_whose_name_is_of_no_class_is_left_out(root, tmp_path):
    labels = {"kind": "field", "field": "condition", "classes": CLASSES}
    assert build(reader(labels), root, tmp_path) == ([of("4 trials of 'rest'", 4)], [1, 2])
    blocks = reader(labels, {"kind": "file", "block_s": 11})
    assert build(blocks, root, tmp_path) == ([of("4 trials of 'rest'", 4)], [1, 2])
    with pytest.raises(
        CorpusError, match=r"condition in the name of .*rest_3.edf' stands for no class: .*found 'rest'"
    ):
        build_table(reader(labels, others="refuse"), root, tmp_path / "refused")


@pytest.mark.parametrize(
    ("rows", "left_out"),
    [
        (["sub-03\tn/a"], of("4 trials of 'n/a'", 4)),
        (["3\tother"], of("4 trials of 'other'", 4)),
        (["sub-03\t"], of("4 trials without a value", 4)),
        ([], of("4 trials without a value", 4, why="participants.tsv has no row for participant_id 3")),
    ],
)
def test_a_subject_of_no_class_is_left_out(root, tmp_path, rows, left_out):
    write_groups(root, "sub-01\tcalm", "2\ttense", *rows)
    assert build(reader(GROUPS), root, tmp_path) == ([left_out], [1, 2])
    with pytest.raises(CorpusError, match=r"stands for no class: expected 'calm' \(calm\) or 'tense' \(tense\), found"):
        build_table(reader(GROUPS, others="refuse"), root, tmp_path / "refused")


def test_trials_of_a_table_that_have_no_class_are_left_out_by_value(root, tmp_path):
    write_table(root, ["2,9".replace(",", "."), "5", "5", ""], ["7", "8", "n/a", "6"], ["5", "5", "5", "5"])
    assert build(reader(RATINGS, TABLE), root, tmp_path) == (
        [
            of("2 trials of '5'", 2, "calm_1.edf"),
            of("1 trial without a value", 1, "calm_1.edf"),
            of("1 trial of 'n/a'", 1, "tense_2.edf"),
            of("4 trials of '5'", 4),
        ],
        [1, 2],
    )
    with pytest.raises(CorpusError, match=r"valence in line 3 of .*t.csv' stands for no class: .*, found '5'"):
        build_table(reader(RATINGS, TABLE, others="refuse"), root, tmp_path / "refused")


def test_a_rating_that_is_no_number_is_refused_with_its_place(root, tmp_path):
    write_table(root, ["1", "7", "2", "high"], ["7"], ["1"])
    with pytest.raises(CorpusError, match=r"valence is not a number in line 5 of .*t.csv': expected .*'high'"):
        build_table(reader(RATINGS, TABLE), root, tmp_path / "table")


def test_a_name_that_is_no_number_is_refused_under_ranges(root):
    labels = {**RATINGS, "kind": "field", "field": "condition"}
    del labels["column"]
    with pytest.raises(CorpusError, match=r"condition in the name of .*calm_1.edf' is not a number: expected .*'calm'"):
        list(reader(labels).read(root, "calm_1.edf"))


def test_a_recording_that_the_table_says_nothing_of_is_left_out(root, tmp_path):
    write_table(root, ["1", "7"], ["7"])
    why = "t.csv has no row with subject 3"
    assert build(reader(RATINGS, TABLE), root, tmp_path) == ([of("the recording", 0, why=why)], [1, 2])
    with pytest.raises(CorpusError, match=r"t.csv' has no row for 'rest_3.edf'"):
        build_table(reader(RATINGS, TABLE, others="refuse"), root, tmp_path / "refused")


def test_the_channels_of_a_recording_that_is_left_out_do_not_matter(root, tmp_path):
    labels = {"kind": "field", "field": "condition", "classes": CLASSES}
    (root / "rest_3.edf").unlink()
    for number in range(4):
        spoil(shutil.copy(root / "calm_1.edf", root / f"rest_{number + 3}.edf"), "label", f"X{number}", signal=number)
    left_out, subjects = build(reader(labels), root, tmp_path)
    assert ([each.trials for each in left_out], subjects) == ([4] * 4, [1, 2])


def test_marks_that_start_no_trial_are_named_once_in_a_check(root):
    labels = {
        "kind": "description",
        "classes": [{"name": "calm", "values": ["calm"]}, {"name": "tense", "values": ["tens", "tense "]}],
    }
    (root / "tense_2.edf").unlink()
    found = [finding for finding in reader(labels).check(root) if finding.left_out]
    assert [(finding.where, finding.found) for finding in found] == []
    labels["classes"][1]["values"] = ["tens"]
    a_reader = reader(labels)
    found = [finding for finding in a_reader.check(root) if finding.left_out]
    assert [(each.where, each.found, each.expected) for each in found] == [
        (".", "marks 'tense' in 2 recordings", "start no trial")
    ]
    assert [each for each in a_reader.read(root, "calm_1.edf") if isinstance(each, LeftOut)] == [
        LeftOut(where="calm_1.edf", what="marks 'tense'", why="start no trial")
    ]
    with pytest.raises(CorpusError, match=r"The mark at 13.000 s in .*calm_1.edf' stands for no class: .*'tense'"):
        list(reader(labels, others="refuse").read(root, "calm_1.edf"))


def test_marks_that_end_trials_are_used(root):
    labels = {"kind": "description", "classes": [CLASSES[0], {"name": "other", "values": ["other"]}]}
    trials = {"kind": "annotations", "length": "until_next", "ends": ["tense"]}
    assert all(isinstance(each, Recording) for each in reader(labels, trials).read(root, "calm_1.edf"))


def test_a_class_that_nobody_has_is_an_error_of_the_check_and_said_by_the_build(root, tmp_path):
    labels = {"kind": "field", "field": "condition", "classes": [*CLASSES, {"name": "glad", "values": ["glda"]}]}
    wrong = [finding for finding in reader(labels).check(root) if not finding.ok]
    assert [(each.fact, each.found) for each in wrong] == [("class glad", "trials in 0 recordings")]
    manifest = build_table(reader(labels), root, tmp_path / "table").manifest
    assert "there is no trial of glad" in manifest.provenance["notes"]
    assert any(each.what.startswith("4 trials of") for each in manifest.left_out)


def test_a_corpus_of_which_all_is_left_out_is_an_error_of_the_check_and_of_the_build(root, tmp_path):
    labels = {
        "kind": "field",
        "field": "condition",
        "classes": [{"name": n, "values": [n.upper()]} for n in ("a", "b")],
    }
    wrong = [finding for finding in reader(labels).check(root) if not finding.ok]
    assert [each.fact for each in wrong] == ["class a", "class b"]
    with pytest.raises(CorpusError, match=r"no trial in .*: expected at least one, found all left out: .*'calm'"):
        build_table(reader(labels), root, tmp_path / "table")
