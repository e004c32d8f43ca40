"""A cell as the requests that the training layer takes."""

from __future__ import annotations

import numpy as np

from scmmlab.config import SweepSpec
from scmmlab.study.cells import Cell
from scmmlab.training import CellRequest, PretrainRequest, SweepRequest


def pretrain_request(cell: Cell) -> PretrainRequest:
    """The pre-training that `cell` starts from. Cells of one `pretrain_key` give requests of one outcome."""
    assert cell.pretrain_key is not None, f"{cell.name} has no pre-training"
    return PretrainRequest(
        key=cell.pretrain_key,
        experiment=cell.experiment,
        seed=cell.seed,
        source=cell.transfer.source,
        channels=cell.channels,
    )


def cell_request(cell: Cell, encoder: dict[str, np.ndarray] | None) -> CellRequest:
    """The fine-tuning and evaluation of `cell`.

    Parameters
    ----------
    cell : Cell
        The cell.
    encoder : dict of str to array | None
        Tensors of its pre-train stage; None where it has none.
    """
    assert (encoder is None) == (cell.pretrain_key is None), f"{cell.name}: the encoder and its key disagree"
    return CellRequest(
        key=cell.key,
        experiment=cell.experiment,
        seed=cell.seed,
        transfer=cell.transfer,
        channels=cell.channels,
        encoder=encoder,
    )


def sweep_request(cell: Cell, study: SweepSpec) -> SweepRequest:
    """The pre-training of a sampled cell of `study`, probed as it goes."""
    return SweepRequest(
        key=cell.key,
        experiment=cell.experiment,
        seed=cell.seed,
        transfer=cell.transfer,
        channels=cell.channels,
        report_every=study.report_every,
    )
