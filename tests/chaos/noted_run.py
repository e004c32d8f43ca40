"""`scmmlab run …`, which also writes what its engine tells it to a pipe: a line of JSON an event.

python noted_run.py PIPE CHECKPOINT_S run STUDY …

Epochs and checkpoints are in no file that outlives a run; what was done twice can be counted from here alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from scmmlab.cli.main import main
from scmmlab.execution import engines
from scmmlab.execution.engine import Engine
from scmmlab.execution.events import CheckpointSaved, EngineEvent, EpochEnded, TaskEnded, TaskLost, TaskStarted
from scmmlab.training import StageOutput


def note_of(event: EngineEvent) -> dict[str, Any] | None:
    """What is noted of an event."""
    match event:
        case TaskStarted():
            return {"what": "started", "keys": event.keys, "attempt": event.attempt}
        case EpochEnded():
            return {"what": "epoch", "key": event.key, "stage": event.stage, "epoch": event.epoch}
        case CheckpointSaved():
            return {"what": "kept", "key": event.key, "stage": event.stage, "epoch": epoch_of(event.data)}
        case TaskEnded():
            well = [outcome.key for outcome in event.outcomes if isinstance(outcome, StageOutput)]
            failed = {outcome.key: outcome.error for outcome in event.outcomes if not isinstance(outcome, StageOutput)}
            return {"what": "ended", "keys": well, "failed": failed}
        case TaskLost():
            return {"what": "lost", "why": str(event)}
    return None


def epoch_of(checkpoint: bytes) -> int:
    """The epoch that a checkpoint was made at the end of."""
    # safetensors opens with the length of its header, which has ours among its metadata
    header = json.loads(checkpoint[8 : 8 + int.from_bytes(checkpoint[:8], "little")])
    return int(json.loads(header["__metadata__"]["scmmlab"])["epoch"])


def noting(make: Callable[..., Engine], pipe: int, checkpoint_s: float) -> Callable[..., Engine]:
    """Engines that write to `pipe` what they have told, and pass checkpoints on at that pace."""

    def made(*arguments: Any) -> Engine:
        engine: Any = make(*arguments)
        engine._checkpoint_s = checkpoint_s
        step = engine.step

        def noted(emit: Callable[[EngineEvent], None], timeout_s: float) -> None:
            def tell(event: EngineEvent) -> None:
                emit(event)
                # what is noted has been dealt with: a checkpoint is in the store, an outcome too
                if (note := note_of(event)) is not None:
                    os.write(pipe, json.dumps({"at": time.monotonic(), **note}).encode() + b"\n")

            step(tell, timeout_s)

        engine.step = noted
        return engine

    return made


if __name__ == "__main__":
    engines.make_engine = noting(engines.make_engine, int(sys.argv[1]), float(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
