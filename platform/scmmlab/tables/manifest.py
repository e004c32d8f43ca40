"""What a feature table says about itself."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from scmmlab.config import Spec
from scmmlab.corpora import LeftOut

FORMAT = 1


class Manifest(Spec):
    """What is in a feature table, where it came from and how it was made; stored beside it as `manifest.json`."""

    format: int = FORMAT
    """Version of the table's layout."""
    corpus: str = Field(min_length=1)
    """Name of the corpus."""
    channels: tuple[str, ...] = Field(min_length=1)
    """Channel names, in the order of the features."""
    bands: dict[str, tuple[float, float]] = Field(min_length=1)
    """Band names and edges in Hz, half-open [low, high), in the order of the features."""
    window_s: float = Field(gt=0)
    """Length of a window in s."""
    classes: tuple[str, ...] = Field(min_length=1)
    """Class names; a label is an index into them."""
    feature: str = "differential_entropy"
    """What a feature is."""
    unit: str
    """Unit of a feature."""
    provenance: dict[str, Any]
    """How the features were made. `origin` is `computed` (by scmmlab or an equal computation), `shipped` (by the
    corpus's authors) or `synthetic`; `log_base` and `form` say which differential entropy; then every parameter."""
    raw_files: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each raw file, by its path relative to the corpus's folder."""
    companions: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each file beside the raw ones that decides labels, order or channels, by its path."""
    left_out: tuple[LeftOut, ...] = ()
    """What of the corpus is not in the table, and why."""
    signals: dict[str, dict[str, str]] = Field(default_factory=dict)
    """What the signal of each trial is recognised by wherever it stands again (`corpora.SignalMarks`), by its raw file
    and by `subject/session/trial`. Empty in tables from before there was any, and of synthetic corpora."""
    subjects: dict[int, str]
    """Subjects by number, with the name that the corpus gives them."""
    windows: int = Field(0, ge=0)
    """Number of windows."""
    attribution: str | None = None
    """Whom to cite."""
    licence: str | None = None
    """Under which terms the features may be passed on."""
    build: str = ""
    """Identity of the build: raw files, parameters and versions of what made the table. Equal builds give equal
    tables, so that a table need not be built again to know that it is up to date."""
    fingerprint: str = ""
    """Identity of the content: every column, and everything above but attribution, licence, what is left out and
    signals. Of a selection, that of the table it was selected from."""

    @model_validator(mode="after")
    def _check(self) -> Manifest:
        for field, names in (("channels", [name.lower() for name in self.channels]), ("classes", self.classes)):
            if len(set(names)) != len(names):
                raise ValueError(f"{field} must differ, got {list(getattr(self, field))}")
        for name, (low, high) in self.bands.items():
            if not 0 <= low < high:
                raise ValueError(f"band '{name}' must have 0 <= low < high, got {low:g} to {high:g} Hz")
        return self

    @property
    def features_per_window(self) -> int:
        """Channels times bands."""
        return len(self.channels) * len(self.bands)
