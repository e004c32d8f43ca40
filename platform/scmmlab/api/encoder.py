"""A pre-trained encoder as a torch module, and its embedding of a table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from scmmlab.api.table import Table
from scmmlab.errors import SpecError
from scmmlab.features import Scaler
from scmmlab.methods.scmm.encoder import encode
from scmmlab.methods.scmm.parameters import encoder_sizes
from scmmlab.methods.scmm.pretrain_pack import pretrain_shape
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.convolution import KERNEL, PADDING
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.windows import Scaling
from scmmlab.study import Cell, StoredObject, pretrain_request
from scmmlab.tables import FeatureTable, Manifest, check_mixable, read_manifest, read_table
from scmmlab.training.data import Selections, pretrain_data
from scmmlab.training.probe import ENCODED_ROWS

if TYPE_CHECKING:
    import pandas as pd


class Encoder(nn.Module):
    """Three blocks of convolution, batch norm, ReLU and max-pooling; made by `Study.encoder`.

    Its tensors bear the names of the released module, so that ``state_dict`` goes in and out of that. Called, it is a
    torch module like any other, and can be trained further. `embed` is the computation of the studies.

    Parameters
    ----------
    shape : Shape
        Sizes of the network.
    channels : tuple of str
        Channels that it sees, in their order.
    scaler : Scaler
        What its input was scaled by in pre-training.
    source : Manifest
        Of the table that it was pre-trained on.
    mixed_features : bool
        Whether it may embed features that were made in another way than the source's.

    Examples
    --------
    >>> study = scmmlab.open_study("ablations/demo.yaml", set={"seeds": [0]})
    >>> run = study.run(engine="local", progress=False)
    >>> encoder = study.encoder("full/eegmat-a-to-b/0")
    >>> list(encoder.embed(study.spec.transfers[0].target.table).index.names)
    ['subject', 'session', 'trial', 'window', 'label']
    """

    def __init__(
        self,
        shape: Shape,
        channels: tuple[str, ...],
        scaler: Scaler,
        source: Manifest,
        mixed_features: bool = False,
    ):
        super().__init__()
        self.shape, self.channels, self.scaler = shape, channels, scaler
        self.source, self.mixed_features = source, mixed_features
        layers: list[nn.Module] = []
        for inputs, outputs in shape.blocks:
            layers += [
                nn.Conv1d(inputs, outputs, KERNEL, padding=PADDING, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ReLU(),
                nn.MaxPool1d(2, 2, padding=1),
            ]
        self.encoder = nn.Sequential(*layers)
        self.eval()

    @classmethod
    def of_cell(cls, cell: Cell, stored: StoredObject) -> Encoder:
        """The encoder of a cell, from what its pre-train stage has stored; its source is read for the scaler.

        Raises
        ------
        SpecError
            If the cell is of another method than SCMM.
        """
        if not isinstance(cell.experiment, ScmmSpec):
            raise SpecError(
                f"Only an encoder of SCMM can be loaded as a torch module, but {cell.name} uses "
                f"'{cell.experiment.method}'."
            )
        request = pretrain_request(cell)
        data = pretrain_data(request, Selections(read_table))
        shape = pretrain_shape(cell.experiment, *data.features.shape[1:])
        source = read_manifest(cell.transfer.source.table)
        encoder = cls(shape, cell.channels, data.scaler, source, cell.transfer.mixed_features)
        wanted = encoder.state_dict()
        encoder.load_state_dict({name: torch.from_numpy(stored.tensors[name].copy()) for name in wanted})
        return encoder

    def forward(self, x: Tensor) -> Tensor:
        """The embedding of scaled windows.

        Parameters
        ----------
        x : Tensor, shape=(n_windows, n_channels, n_bands)
            Scaled by `scaler`.

        Returns
        -------
        Tensor, shape=(n_windows, 3 · width)
        """
        found: Tensor = self.encoder(x).flatten(1)
        return found

    @torch.no_grad()
    def embed(self, table: Table | FeatureTable | str | os.PathLike[str]) -> pd.DataFrame:
        """The embedding of each window of a table, scaled as the source was in pre-training.

        Parameters
        ----------
        table : Table, FeatureTable, str or path
            The table, or where it is.

        Returns
        -------
        DataFrame
            Index `subject`, `session`, `trial`, `window`, `label`; a column for each number of the embedding.

        Raises
        ------
        CorpusError
            If there is no such table, it lacks one of `channels`, or its features are not those of the source.
        """
        import pandas as pd

        if isinstance(table, Table):
            table = table.windows
        windows = (table if isinstance(table, FeatureTable) else read_table(table)).with_channels(self.channels)
        check_mixable(self.source, windows.manifest, self.mixed_features)
        parameters = Parameters(encoder_sizes(self.shape), 1, "cpu", torch.float32)
        parameters.load_replica(0, self.state_dict())
        scaling = Scaling.stack([self.scaler], "cpu", torch.float32)
        parts = []
        for start in range(0, len(windows), ENCODED_ROWS):
            x = torch.tensor(windows.features[None, start : start + ENCODED_ROWS])
            parts.append(encode(parameters, scaling.apply(x), False)[0])
        return pd.DataFrame(torch.cat(parts).numpy(), index=Table(windows).index())
