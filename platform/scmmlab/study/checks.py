"""What must be true of a transfer before anything of it is run."""

from __future__ import annotations

from scmmlab.config import CorpusSelection, ExperimentSpec, TransferSpec
from scmmlab.errors import SpecError, nearest
from scmmlab.tables import Manifest, check_mixable, common_channels, shared_subjects, shared_text
from scmmlab.tables.checks import number_ranges


def check_transfer(transfer: TransferSpec, source: Manifest, target: Manifest) -> tuple[str, ...]:
    """Check that source and target go together and share nobody.

    Parameters
    ----------
    transfer : TransferSpec
        The transfer.
    source, target : Manifest
        Of its tables.

    Returns
    -------
    tuple of str
        The channels that they have in common, in the source's order.

    Raises
    ------
    SpecError
        If a selection names what its table lacks, or a subject is on both sides.
    CorpusError
        If the features were made differently, or no channel is common.
    """
    _check_selection(transfer, "source", transfer.source, source)
    _check_selection(transfer, "target", transfer.target, target)
    if len(selected_classes(transfer.target, target)) < 2:
        raise SpecError(f"The target of transfer '{transfer.name}' must have at least two classes, got one.")
    check_mixable(source, target, transfer.mixed_features)
    channels = common_channels(source, target)
    of_source, of_target = selected_subjects(transfer.source, source), selected_subjects(transfer.target, target)
    both = [pair for pair in shared_subjects(source, target) if pair[0] in of_source and pair[1] in of_target]
    if both:
        raise SpecError(
            f"Transfer '{transfer.name}' would leak: source and target {shared_text(source, target, both)}, whose test "
            "windows would be pre-trained on.",
            hint="give source and target different subjects.",
        )
    return channels


def check_experiment(
    where: str, experiment: ExperimentSpec, transfer: TransferSpec, source: Manifest, target: Manifest
) -> None:
    """Check that an experiment can be run on a transfer.

    Raises
    ------
    SpecError
        If a batch is larger than the whole source, its method cannot be trained on the channels or classes, or a
        protocol that trains on the source lacks the same classes on both sides; `where` names the variant.
    """
    if experiment.pretrains and experiment.pretrain_batch > source.windows:
        raise SpecError(
            f"Invalid value for 'pretrain.batch_size' of {where}: it must be at most the {source.windows} windows of "
            f"the source of transfer '{transfer.name}', got {experiment.pretrain_batch}."
        )
    reason = experiment.unfit(common_channels(source, target), selected_classes(transfer.target, target))
    if reason is not None:
        raise SpecError(
            f"The method '{experiment.method}' of {where} cannot be used on transfer '{transfer.name}': {reason}"
        )
    if experiment.protocol.trained_on == "source":
        of_source, of_target = selected_classes(transfer.source, source), selected_classes(transfer.target, target)
        if of_source != of_target:
            raise SpecError(
                f"The '{experiment.protocol.kind}' protocol of {where} needs the same classes in source and target of "
                f"transfer '{transfer.name}', got {list(of_source)} and {list(of_target)}.",
                hint="name the shared classes, in one order, under 'classes' of both.",
            )


def selected_subjects(selection: CorpusSelection, manifest: Manifest) -> tuple[int, ...]:
    """The subjects that take part, in numeric order."""
    return tuple(sorted(manifest.subjects if selection.subjects is None else selection.subjects))


def selected_classes(selection: CorpusSelection, manifest: Manifest) -> tuple[str, ...]:
    """The classes that take part, in the order of their labels."""
    return selection.classes or manifest.classes


def _check_selection(transfer: TransferSpec, side: str, selection: CorpusSelection, manifest: Manifest) -> None:
    where = f"'{side}.{{}}' of transfer '{transfer.name}'"
    missing = sorted(set(selection.subjects or ()) - set(manifest.subjects))
    if missing:
        raise SpecError(
            f"Invalid value for {where.format('subjects')}: '{selection.table}' has subjects "
            f"{number_ranges(sorted(manifest.subjects))}, got {number_ranges(missing)}, which it lacks."
        )
    for name in (member for chosen in selection.classes or () for member in selection.members(chosen)):
        if name not in manifest.classes:
            guess = nearest(name, manifest.classes)
            raise SpecError(
                f"Invalid value for {where.format('classes')}: '{selection.table}' has {list(manifest.classes)}, "
                f"got {name!r}" + (f"; did you mean {guess!r}?" if guess else ".")
            )
