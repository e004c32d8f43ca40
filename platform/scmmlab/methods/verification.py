"""Which method a file of golden vectors is of, and how near it comes to them."""

from __future__ import annotations

from pathlib import Path

import torch

from scmmlab.methods.golden import GoldenCheck, read_file
from scmmlab.methods.registry import all_methods
from scmmlab.methods.scmm.verification import verify_file as verify_scmm


def verify_file(path: str | Path, device: torch.device | str = "cpu", pack: bool = False) -> list[GoldenCheck]:
    """Compute what a file of golden vectors holds, and compare.

    Parameters
    ----------
    path : str or Path
        The .npz file, of any method; one that no other method recognises must be SCMM's.
    device : device or str
        Where to compute.
    pack : bool
        Whether the file's replica sits in the middle of a pack of seven.

    Raises
    ------
    CorpusError
        If the file cannot be read, lacks something, or holds something that is not compared.
    """
    file = read_file(path)
    for method in all_methods():
        if method.golden is not None and (verifier := method.golden()).recognises(file):
            checks = verifier.verify(file, torch.device(device), pack)
            file.check_all_asked()
            return checks
    return verify_scmm(path, device=device, pack=pack)
