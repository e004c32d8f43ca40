"""The readers by name. To add a corpus, write its reader and put it here."""

from __future__ import annotations

from scmmlab.corpora.deap import DeapReader
from scmmlab.corpora.dreamer import DreamerReader
from scmmlab.corpora.eegmat import EegmatReader
from scmmlab.corpora.eegmat_features import EegmatFeaturesReader
from scmmlab.corpora.faced import FacedReader
from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.corpora.reader import Reader
from scmmlab.corpora.seed import SeedReader
from scmmlab.corpora.seed_iv import SeedIVReader
from scmmlab.corpora.seed_v import SeedVReader
from scmmlab.errors import CorpusError, nearest

READERS: dict[str, type[Reader]] = {
    reader.name: reader
    for reader in (
        EegmatReader,
        EegmatFeaturesReader,
        DeapReader,
        DreamerReader,
        FacedReader,
        SeedReader,
        SeedIVReader,
        SeedVReader,
        MneReader,
    )
}


def reader_class(name: str) -> type[Reader]:
    """The reader of that name.

    Raises
    ------
    CorpusError
        If there is none; it names the nearest.
    """
    if name not in READERS:
        guess = nearest(name.lower(), READERS)
        raise CorpusError(
            f"Unknown corpus '{name}': expected one of {', '.join(READERS)}.",
            f"did you mean '{guess}'?" if guess else "`scmmlab corpus list` says what each needs.",
        )
    return READERS[name]
