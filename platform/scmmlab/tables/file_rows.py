"""The rows of one raw file, and the bytes that they are kept and sent as: arrays, and nothing that can run."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from scmmlab.corpora import LeftOut

_ARRAYS = ("subject", "session", "trial", "window", "label", "features")


@dataclass(frozen=True, eq=False)
class FileRows:
    """The windows of one raw file, in the order of the file; none where all of it is left out.

    Parameters
    ----------
    file : str
        The file, relative to the corpus's root.
    channels, bands, window_s
        What the features are; as in the manifest.
    subject, session, trial, window, label : array, shape=(n_windows,)
        As in the feature table.
    features : array of float32, shape=(n_windows, n_channels, n_bands)
        As in the feature table.
    notes : tuple of str
        What the reader noticed.
    left_out : tuple of LeftOut
        What of the file is not in the rows.
    signals : dict of str to str
        What the signal of each trial is recognised by, as in the manifest.
    """

    file: str
    channels: tuple[str, ...]
    bands: dict[str, tuple[float, float]]
    window_s: float
    subject: NDArray[np.int32]
    session: NDArray[np.int32]
    trial: NDArray[np.int32]
    window: NDArray[np.int32]
    label: NDArray[np.int64]
    features: NDArray[np.float32]
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    signals: dict[str, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, file: str, left_out: tuple[LeftOut, ...]) -> FileRows:
        """No rows of a file of which all is left out."""
        keys, label = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
        features = np.zeros((0, 0, 0), dtype=np.float32)
        return cls(file, (), {}, 0.0, keys, keys, keys, keys, label, features, (), left_out)

    def to_bytes(self) -> bytes:
        """What `from_bytes` makes the same rows of."""
        facts = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _ARRAYS}
        # a list, because the order of the bands is that of the features
        facts["bands"] = list(self.bands.items())
        facts["left_out"] = [each.model_dump() for each in self.left_out]
        content = io.BytesIO()
        np.savez(
            content,
            facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8),
            **{name: getattr(self, name) for name in _ARRAYS},
        )
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> FileRows:
        """The rows that gave these bytes.

        Raises
        ------
        ValueError
            If they are damaged.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in _ARRAYS}
                facts = json.loads(stored["facts"].tobytes())
                # rows that an older version kept have none, and are made again
                facts["signals"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"damaged rows: {error}") from error
        return cls(
            file=facts["file"],
            channels=tuple(facts["channels"]),
            bands={name: (low, high) for name, (low, high) in facts["bands"]},
            window_s=facts["window_s"],
            notes=tuple(facts["notes"]),
            left_out=tuple(LeftOut(**each) for each in facts["left_out"]),
            signals=facts["signals"],
            **arrays,
        )
