"""What the pages on feature tables and protocols say can be done is done, as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

from scmmlab.config import CorpusSelection, ReleasedProtocol, TransferSpec
from scmmlab.corpora import SyntheticSpec
from scmmlab.errors import SpecError
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.study.checks import check_transfer
from scmmlab.tables import read_table, write_synthetic_table

DOCS = Path(__file__).parents[2] / "docs"
TABLE = (DOCS / "feature-table.md").read_text(encoding="utf-8")
PROTOCOLS = (DOCS / "protocols.md").read_text(encoding="utf-8")


def test_the_example_that_reads_a_table_reads_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_synthetic_table(SyntheticSpec(subjects=2, trials=9, windows=3), "my_table", False)
    (example,) = re.findall(r"```python\n(.+?)```", TABLE, re.DOTALL)
    found: dict = {}
    exec(example, found)
    rows, table = found["rows"], read_table("my_table")
    named = re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in TABLE.splitlines() if " int32 |" in line))
    assert set(named) < set(rows.columns), "the columns of the page"
    for name in named:
        assert rows[name].tolist() == getattr(table, name).tolist()
    assert np.array_equal(np.stack(rows["features"]), table.features.reshape(len(table), -1))
    (shape,) = re.findall(r"table\.features\.shape +# \((.+?)\)", example)
    assert found["table"].features.shape == tuple(map(int, shape.split(", ")))


def test_source_and_target_share_nobody_as_the_page_on_protocols_says():
    assert "may share subjects" not in PROTOCOLS
    assert "**Source and target share nobody**, under any protocol" in PROTOCOLS
    manifest = read_table("shipped:eegmat").manifest
    # the same recordings as a table of other content
    again = manifest.model_copy(update={"fingerprint": "f" * 64})
    transfer = TransferSpec(
        name="t",
        source=CorpusSelection(table="shipped:eegmat", subjects=(0, 1)),
        target=CorpusSelection(table="again", subjects=(1, 2)),
    )
    with pytest.raises(SpecError, match=r"would leak: .* share subjects 1, "):
        check_transfer(transfer, manifest, again)


def test_the_quirks_of_the_page_are_those_that_the_released_protocol_switches_on():
    listed = PROTOCOLS.partition("| setting | quirk |")[2]
    page = dict(re.findall(r"^\| `([\w.]+)(?:: (\w+))?` \|", listed, re.MULTILINE))
    released = ScmmSpec(protocol=ReleasedProtocol())
    how_it_splits = {"kind", "split", "subjects_per_fold", "trial_order", "finetune_trials", "finetune_share"}
    leaks = {f"protocol.{name}" for name in set(ReleasedProtocol.model_fields) - how_it_splits}
    assert set(page) == leaks | set(ScmmSpec.FORMER_PATHS.values())
    for path, value in page.items():
        found = released.resolved()
        for name in path.split("."):
            found = getattr(found, name)
        assert str(found).lower() == (value or "true"), path
