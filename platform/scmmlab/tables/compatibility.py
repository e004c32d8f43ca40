"""Whether two feature tables may take part in one transfer, and by which channels."""

from __future__ import annotations

from collections.abc import Callable

from scmmlab.errors import CorpusError
from scmmlab.tables.manifest import Manifest

# what must be equal, how it reads in an error, and where the manifest has it
_Facts = tuple[tuple[str, Callable[[Manifest], object]], ...]
_ALWAYS_AGREE: _Facts = (
    ("feature", lambda manifest: manifest.feature),
    ("bands", lambda manifest: [(name, *edges) for name, edges in manifest.bands.items()]),
)
_MAY_BE_MIXED: _Facts = (
    ("unit", lambda manifest: manifest.unit),
    ("log base", lambda manifest: manifest.provenance.get("log_base")),
    ("form", lambda manifest: manifest.provenance.get("form")),
    # features that a corpus ships differ from ours in ways that nobody wrote down, whatever form they claim
    ("origin", lambda manifest: "shipped" if manifest.provenance.get("origin") == "shipped" else "computed"),
)


def common_channels(source: Manifest, target: Manifest) -> tuple[str, ...]:
    """The channels that both tables have, in the source's order and spelling, matched without regard to case.

    Raises
    ------
    CorpusError
        If they have none in common.
    """
    present = {name.lower() for name in target.channels}
    common = tuple(name for name in source.channels if name.lower() in present)
    if not common:
        raise CorpusError(
            f"'{source.corpus}' and '{target.corpus}' have no channel in common: expected some, found "
            f"{', '.join(source.channels)} and {', '.join(target.channels)}."
        )
    return common


def check_mixable(source: Manifest, target: Manifest, mixed: bool = False) -> None:
    """Check that the features of two tables were made alike; windows may have different lengths.

    Parameters
    ----------
    source, target : Manifest
        Of the two tables.
    mixed : bool
        Whether a study says that they may differ in all but feature and bands.

    Raises
    ------
    CorpusError
        If feature, bands, unit, logarithm or form differ, or one was shipped by a corpus's authors and the other not.
    """
    for what, of in _ALWAYS_AGREE if mixed else (*_ALWAYS_AGREE, *_MAY_BE_MIXED):
        if of(source) != of(target):
            raise CorpusError(
                f"The features of '{source.corpus}' and '{target.corpus}' cannot be mixed: expected the same {what}, "
                f"found {of(source)} and {of(target)}.",
                "build both tables with the same settings, from raw recordings"
                + ("." if mixed or what in dict(_ALWAYS_AGREE) else ", or say mixed_features: true in the transfer."),
            )


def mixed_features(source: Manifest, target: Manifest) -> str:
    """A sentence on what the features of two tables differ in, where a study mixes them; empty where they are alike."""
    differ = [what for what, of in _MAY_BE_MIXED if of(source) != of(target)]
    if not differ:
        return ""
    sides = " and ".join(f"{side.corpus} ({side.provenance.get('origin')})" for side in (source, target))
    return f"Features of {sides} are mixed, as the study says: they differ in {', '.join(differ)}."
