"""Fakes of the corpora in their own file formats. To add one, write it and put it here."""

from scmmlab.corpora.fakes.deap import DeapFake
from scmmlab.corpora.fakes.dreamer import DreamerFake
from scmmlab.corpora.fakes.faced import FacedFake
from scmmlab.corpora.fakes.fake_corpus import FakeCorpus, write_fake
from scmmlab.corpora.fakes.seed import SeedFake, SeedIVFake
from scmmlab.corpora.fakes.seed_v import SeedVFake
from scmmlab.errors import CorpusError, nearest

FAKES: dict[str, type[FakeCorpus]] = {
    fake.name: fake for fake in (DeapFake, DreamerFake, FacedFake, SeedFake, SeedIVFake, SeedVFake)
}


def fake_class(name: str) -> type[FakeCorpus]:
    """The fake of that name.

    Raises
    ------
    CorpusError
        If there is none; it names the nearest.
    """
    if name not in FAKES:
        guess = nearest(name.lower(), FAKES)
        raise CorpusError(
            f"There is no fake of '{name}': expected one of {', '.join(FAKES)}.",
            f"did you mean '{guess}'?" if guess else None,
        )
    return FAKES[name]


__all__ = ["FAKES", "FakeCorpus", "fake_class", "write_fake"]
