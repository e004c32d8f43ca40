"""A cell of a study, as people name it: by its key, the beginning of it, or `variant/transfer/seed`."""

from __future__ import annotations

from scmmlab.errors import SpecError, nearest
from scmmlab.study.cells import Cell
from scmmlab.study.plan import Plan


def find_cell(plan: Plan, text: str) -> Cell:
    """The cell of `plan` that `text` names.

    Parameters
    ----------
    plan : Plan
        Of an ablation.
    text : str
        A key, the beginning of one, or `variant/transfer/seed`. Cells that are the same have one key; the first is
        meant.

    Raises
    ------
    SpecError
        If it names none, or several.
    """
    names = {f"{cell.variant}/{cell.transfer.name}/{cell.seed}": cell for cell in plan.cells}
    if text in names:
        return names[text]
    found = [cell for key, cell in plan.distinct.items() if text and key.startswith(text)]
    if len(found) == 1:
        return found[0]
    if found:
        keys = ", ".join(cell.key for cell in found[:4])
        raise SpecError(
            f"Invalid value for 'CELL': {text!r} is a prefix of the keys of {len(found)} cells of study "
            f"'{plan.study.name}': "
            f"{keys}{', ...' if len(found) > 4 else ''}.",
            "give a longer prefix, or variant/transfer/seed",
        )
    close = nearest(text, names)
    raise SpecError(
        f"Invalid value for 'CELL': it must be a key of study '{plan.study.name}', a prefix of one, or "
        f"variant/transfer/seed, got {text!r}.",
        f"did you mean {close}?" if close else f"the first of the study is {next(iter(names), 'none')}",
    )
