"""A study's driver: one at a time, or one a part. It claims the study, gives signs at work, and lets go at the end."""

from __future__ import annotations

import logging
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from scmmlab.errors import BusyError, StoreError
from scmmlab.study.claims import BEAT_S, LEASE_S, Claim, Claims, SeenClaim, Watch
from scmmlab.study.folder import StudyFolder
from scmmlab.study.parts import Part
from scmmlab.study.processes import this_process

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
"""Who asks looks for others so often."""
_PAUSE_S = 2.0
"""Two signs are so far apart, at least."""
_PATIENCE_AT_THE_END_S = 5.0


class Driver:
    """A driver that has a study; made by `driving`."""

    def __init__(self, claims: Claims, claim: Claim, beat_s: float):
        self._claims, self._claim, self._beat_s = claims, claim, beat_s
        self._lock = threading.Lock()
        self._wake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._give_signs, name="claim", daemon=True)
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        self.lost = False
        """Whether another driver has taken the study over."""

    def at_work(self, cells: Mapping[str, str]) -> None:
        """Say which cells are begun and not ended, by key, and how far each is; others read it a little later.

        Raises
        ------
        KeyboardInterrupt
            If another driver has taken the study over, and this one is in a thread, where no signal arrives.
        """
        if self.lost and not self._in_main_thread:
            raise KeyboardInterrupt
        with self._lock:
            news = self._claim.at_work.keys() != cells.keys()
            self._claim = replace(self._claim, at_work=dict(cells))
        if news:
            self._wake.set()

    def start(self) -> None:
        """Begin to give signs."""
        self._thread.start()

    def stop(self) -> None:
        """Let go of the study."""
        self._ended.set()
        self._wake.set()
        self._thread.join(_PATIENCE_AT_THE_END_S)
        with suppress(StoreError):  # it goes out of date by itself
            self._claims.delete(self._claim.id)

    def _give_signs(self) -> None:
        while not self._ended.is_set():
            self._wake.wait(self._beat_s)
            self._wake.clear()
            if self._ended.is_set():
                return
            try:
                self._beat()
            except StoreError as error:
                _log.debug("no sign given: %s", error)  # the driver's own writes say that the store refuses
            if self.lost:
                if self._in_main_thread:  # as Ctrl-C does: what is being written is finished
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return
            # what begins in quick succession is said together
            self._ended.wait(min(_PAUSE_S, self._beat_s))

    def _beat(self) -> None:
        seen = self._claims.seen()
        replaced = any(
            self._claim.id in other.claim.replaces for other in seen.values() if other.claim.phase == "holding"
        )
        if replaced or self._claim.id not in seen:
            self.lost = True
            return
        with self._lock:
            self._claim = claim = replace(self._claim, beats=self._claim.beats + 1)
        self._claims.write(claim)


@contextmanager
def driving(
    folder: StudyFolder,
    name: str,
    hint: str,
    part: Part | None = None,
    lease_s: float = LEASE_S,
    beat_s: float = BEAT_S,
) -> Iterator[Driver]:
    """Have a study, or a part of it, to oneself, for as long as the context lasts.

    A driver whose process has ended on this machine is taken over from at once; one on another machine when it gives
    no sign for the lease, which is waited for.

    Parameters
    ----------
    folder : StudyFolder
        The study's.
    name : str
        The study's.
    hint : str
        The next step where another driver has it.
    part : Part | None
        The part that is to be run; other parts of the same division may have drivers of their own. All when None.
    lease_s, beat_s : float
        A driver gives a sign every `beat_s`, and is taken to be gone after `lease_s` without.

    Raises
    ------
    BusyError
        If another driver is at work.
    StoreError
        If another driver took the study over because this one gave no sign for the lease.
    """
    claims = folder.claims()
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    claim = Claim(uuid.uuid4().hex, "asking", since, this_process(), part)
    try:
        claim = _ask(claims, claim, f"'{name}' in {folder.uri.rpartition('/studies/')[0]}", hint, lease_s)
    except BaseException:
        with suppress(StoreError):
            claims.delete(claim.id)
        raise
    driver = Driver(folder.claims(hurried=True), claim, beat_s)
    driver.start()
    try:
        yield driver
    except KeyboardInterrupt:
        if driver.lost:
            raise StoreError(
                f"Study '{name}' was taken over by another driver: this one, at it since {since}, had given no sign "
                f"for {lease_s:.0f} s (its machine slept, or could not reach the store).",
                hint,
            ) from None
        raise
    finally:
        driver.stop()


def _ask(claims: Claims, claim: Claim, study: str, hint: str, lease_s: float) -> Claim:
    """Hold the study as soon as nobody else is there, but at other parts.

    Whoever holds has listed the claims after writing its own and found no other that concerns it. Of two that ask, the
    one that listed later sees the other's claim, so never do both hold; the lower id waits for the higher to withdraw.
    """
    first: dict[str, SeenClaim] = {}
    watch = Watch(claims.one_clock)
    told = False
    while True:
        claims.write(claim)
        seen = claims.seen()
        own = seen.pop(claim.id, None)
        if own is None:  # removed by one that took it for a driver that is gone
            continue
        seen = {other: found for other, found in seen.items() if found.concerns(claim.part)}
        silent_s = {other: watch.silent_s(found, own.written_s) for other, found in seen.items()}
        gone = [other for other, found in seen.items() if found.gone(silent_s[other], lease_s)]
        there = {other: found for other, found in seen.items() if other not in gone}
        if not there:
            claim = replace(claim, phase="holding", replaces=tuple(gone))
            claims.write(claim)
            for other in gone:
                claims.delete(other)
            return claim
        for other, found in there.items():
            before = first.setdefault(other, found)
            gives_signs = found.claim.beats > before.claim.beats
            first_in_line = found.claim.phase == "holding" or other < claim.id
            if first_in_line and (gives_signs or found.surely_there()):
                ago = silent_s[other] if gives_signs else max(0.0, own.written_s - found.written_s)
                at = f"part {found.claim.part}" if found.claim.part else "it"
                raise BusyError(
                    f"Study {study} is being run already: another driver has been at {at} since {found.claim.since}, "
                    f"and gave its last sign {ago:.0f} s ago.",
                    hint,
                )
        if not told:
            told = True
            _log.warning(
                "Study %s is claimed by a driver on another machine. Waiting for a sign of it, for %.0f s at most.",
                study,
                max(1, lease_s - min(silent_s[other] for other in there)),
            )
        time.sleep(_LOOK_S)
        claim = replace(claim, beats=claim.beats + 1)


def drivers_of(folder: StudyFolder, lease_s: float = LEASE_S) -> tuple[list[SeenClaim], list[SeenClaim]]:
    """The claims of drivers that are there (of parts, or for moments more than one), and of those that are gone.

    Nothing is written and nothing watched, so ages are told by this machine's clock where the process itself cannot be
    looked up.
    """
    seen = [found for found in folder.claims().seen().values() if found.claim.phase == "holding"]
    gone = [found for found in seen if found.gone(time.time() - found.written_s, lease_s)]
    return [found for found in seen if found not in gone], gone
