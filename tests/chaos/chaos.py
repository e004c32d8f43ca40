"""`make chaos`: rounds of campaigns, a seed each, and what they came to. Exit status 1 when anything does not hold."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path

sys.path.extend(
    str(Path(__file__).absolute().parents[1] / name) for name in ("", "execution", "integration", "tracking")
)

from campaign import Arena, Tally
from rounds import SCENERIES, scene_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next ones count on from it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=SCENERIES, action="append", help="these alone, of each round")
    arguments = parser.parse_args()
    seeds, names = range(arguments.seed, arguments.seed + arguments.rounds), arguments.only or list(SCENERIES)
    tally, failed, begun = Tally(), list[str](), time.monotonic()
    # Ctrl-C ends it with the counts so far
    with (
        tempfile.TemporaryDirectory(prefix="scmmlab-chaos-", ignore_cleanup_errors=True) as folder,
        suppress(KeyboardInterrupt),
    ):
        arena = Arena(Path(folder))
        for seed, name in ((seed, name) for seed in seeds for name in names):
            print(f"[{time.monotonic() - begun:.0f} s] seed {seed}, {name}: ", end="", flush=True)
            try:
                with scene_of(name, arena, seed) as campaign:
                    tally.add(campaign.run())
            except Exception as error:
                failed.append("\n".join(getattr(error, "__notes__", [f"seed {seed}, {name}"])))
                traceback.print_exc()
    print(f"\n{tally}")
    if failed:
        print("\n".join([f"It does not hold, {len(failed)} times:", *failed]))
    print(f"Seeds from {arguments.seed} on, in {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
