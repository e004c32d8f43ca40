"""Layout files: what is wrong is named with file and path; what the documentation shows is right."""

import copy
import re
from pathlib import Path

import lab_files
import pytest
import yaml

from scmmlab.config.problems import validate
from scmmlab.corpora.lab import LayoutSpec, read_layout
from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.errors import SpecError
from scmmlab.tables import build_table, read_table

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "lab-corpus.yaml"
SECTION = re.search(r"^## mne: .*?(?=^## )", (DOCS / "corpora.md").read_text(), re.MULTILINE | re.DOTALL)[0]
BLOCKS = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)


def write(tmp_path, content):
    path = tmp_path / "lab.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def changed(**changes):
    """`LAYOUT` with values set or, where they are None, taken away, by dotted path with two underscores."""
    content = copy.deepcopy(lab_files.LAYOUT)
    for dotted, value in changes.items():
        *path, last = dotted.split("__")
        place = content
        for key in path:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return content


def test_the_example_reads_a_folder_as_it_says(tmp_path):
    for number, file in enumerate(("anna/day1_run1.bdf", "anna/day1_run2.bdf", "ben/day1_run1.bdf")):
        (tmp_path / "recordings" / file).parent.mkdir(parents=True, exist_ok=True)
        lab_files.write_bdf(tmp_path / "recordings" / file, seed=number)
    reader = MneReader(layout=read_layout(EXAMPLE))
    assert all(finding.ok for finding in reader.check(tmp_path / "recordings"))
    build_table(reader, tmp_path / "recordings", tmp_path / "table")
    table = read_table(tmp_path / "table")
    assert table.manifest.corpus == "lab_music"
    assert table.manifest.subjects == {1: "anna", 2: "ben"}
    assert table.manifest.channels == lab_files.CHANNELS
    # 6 s a trial without the first one
    assert len(table) == 3 * 4 * 5


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_documentation_shows_is_a_layout(block):
    part = yaml.safe_load(block)
    content = {**lab_files.LAYOUT, "recordings": {"bids": {"task": "music"}}, **part}
    assert validate(LayoutSpec, content)[1] == []


def test_the_documentation_describes_every_setting():
    assert len(BLOCKS) == 5
    schema = LayoutSpec.model_json_schema()
    names = {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}
    assert {name for name in names if f"`{name}`" not in SECTION and f"{name}:" not in SECTION} == set()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recordings__fils": "x"}, r"Unknown key 'recordings.fils' in .*lab.yaml: .* did you mean 'files'\?"),
        ({"signal__chanels": ["Fz"]}, r"Unknown key 'signal.chanels' in .*lab.yaml: .* did you mean 'channels'\?"),
        ({"trials__kind": "anotations"}, r"'trials.kind' in .*lab.yaml: .* did you mean 'annotations'\?"),
        ({"labels__kind": None}, r"'labels.kind' in .*lab.yaml: it is missing, and must be one of 'description'"),
        ({"trials__skip_s": -1}, r"'trials.skip_s' in .*lab.yaml: it must be at least 0, got -1"),
        ({"trials__seconds": "6 s"}, r"'trials.seconds' in .*: it must be a number or null, got '6 s'"),
        ({"recordings__files": None}, r"'recordings' in .*: it must have either 'files' or 'bids'"),
        ({"recordings__bids": {}}, r"'recordings' in .*: it must have either 'files' or 'bids'"),
        ({"recordings__files": "../{subject}.edf"}, r"it must be a path below --root.*got '../\{subject\}.edf'"),
        ({"recordings__files": "/data/{subject}.edf"}, r"it must be a path below --root"),
        ({"recordings__files": "s.edf"}, r"it must say in 'files' where the \{subject\} stands, got 's.edf'"),
        ({"recordings__files": "{subject}_{RUN}.edf"}, r"it must have its fields as in '\{subject\}'"),
        ({"labels__classes__0__values": []}, r"'labels.classes.0' in .*: it must have either 'values' or a range"),
        ({"labels__classes__0__below": 3}, r"'labels.classes.0' in .*: it must have either 'values' or a range"),
        ({"labels__classes__1__values": ["calm"]}, r"'labels' in .*: it must have values of its own for each class"),
        ({"labels__classes__1__name": "calm"}, r"'labels' in .*: it must have names of its own for each class"),
        (
            {"trials__kind": "events"},
            r"Invalid layout in .*: it must have 'recordings.bids' for trials of kind 'events'",
        ),
        ({"trials__kind": "file"}, r"Invalid layout in .*: cannot have labels of kind 'description'"),
        ({"labels__kind": "column", "labels__column": "x"}, r"cannot have labels of kind 'column'"),
        ({"labels__kind": "field", "labels__field": "mood"}, r"has no field 'mood' .*, only subject"),
        ({"trials": {"kind": "status", "length": "stated"}}, r"'trials' in .*: it must have 'length: until_next' or"),
        (
            {"trials": {"kind": "table", "file": "t.csv"}, "labels__kind": "column", "labels__column": "x"},
            r"'trials' in .*: it must say with 'match', or with fields in 'file', which rows belong",
        ),
        ({"name": "my lab"}, r"'name' in .*lab.yaml: it must match pattern"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_path(tmp_path, changes, message):
    with pytest.raises(SpecError, match=message):
        read_layout(write(tmp_path, changed(**changes)))


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    with pytest.raises(SpecError, match=r"2 things are wrong with the layout:\n  - .*fils.*\n  - .*skip_s"):
        read_layout(write(tmp_path, changed(recordings__fils="x", trials__skip_s=-1)))


def test_a_layout_that_is_none_is_refused(tmp_path):
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(SpecError, match=r"A layout must be a mapping of keys to values, got \[1\] in .*list.yaml"):
        read_layout(tmp_path / "list.yaml")
    with pytest.raises(
        SpecError, match=r"Cannot read the layout .*none.yaml: expected a YAML file, found No such file"
    ):
        read_layout(tmp_path / "none.yaml")
    (tmp_path / "tag.yaml").write_text("name: !!python/object/apply:os.system [echo]\n")
    with pytest.raises(SpecError, match=r"Cannot read .*tag.yaml, line 1"):
        read_layout(tmp_path / "tag.yaml")
