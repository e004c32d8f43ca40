"""The lease on a study, or a part of it: one driver holds it at a time, renews it by heartbeats and releases it."""

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
from scmmlab.study.claims import HEARTBEAT_S, LEASE_S, Claim, Claims, SeenClaim, Watch
from scmmlab.study.folder import StudyFolder
from scmmlab.study.processes import this_process
from scmmlab.study.shards import Shard

_log = logging.getLogger(__name__)

_POLL_S = 1.0
"""Interval at which a driver that asks for the lease looks at the claims of others."""
_LEAST_INTERVAL_S = 2.0
"""Shortest time between two heartbeats."""
_STOP_TIMEOUT_S = 5.0


class LeaseHolder:
    """A driver that holds the lease on a study; made by `study_lease`."""

    def __init__(self, claims: Claims, claim: Claim, heartbeat_s: float):
        self._claims, self._claim, self._heartbeat_s = claims, claim, heartbeat_s
        self._lock = threading.Lock()
        self._wake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="claim", daemon=True)
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        self.lost = False
        """Whether another driver has taken the study over."""

    def publish(self, cells: Mapping[str, str]) -> None:
        """Publish the active cells with the next heartbeat: those that have started and not ended.

        Parameters
        ----------
        cells : mapping of str to str
            Key → how far the cell has come.

        Raises
        ------
        KeyboardInterrupt
            If another driver has taken the study over, and this one is in a thread, where no signal arrives.
        """
        if self.lost and not self._in_main_thread:
            raise KeyboardInterrupt
        with self._lock:
            news = self._claim.active_cells.keys() != cells.keys()
            self._claim = replace(self._claim, active_cells=dict(cells))
        if news:
            self._wake.set()

    def hold(self, claim: Claim) -> None:
        """Start the heartbeats.

        Parameters
        ----------
        claim : Claim
            As it was written when the lease was taken.
        """
        self._claim = claim
        self._thread.start()

    def stop(self) -> None:
        """Release the lease."""
        self._ended.set()
        self._wake.set()
        if self._thread.is_alive():  # not where the start was interrupted
            self._thread.join(_STOP_TIMEOUT_S)
        self._delete()

    def _delete(self) -> None:
        with suppress(StoreError):  # it expires by itself
            self._claims.delete(self._claim.id)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.wait(self._heartbeat_s)
            self._wake.clear()
            if self._ended.is_set():
                return
            try:
                self._heartbeat()
            except StoreError as error:
                _log.debug("heartbeat not written: %s", error)  # the driver's own writes report a store that refuses
            if self._ended.is_set():  # released meanwhile: what was just written must not stay
                self._delete()
                return
            if self.lost:
                if self._in_main_thread:  # as Ctrl-C does: what is being written is finished
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return
            # cells that start in quick succession share a heartbeat
            self._ended.wait(min(_LEAST_INTERVAL_S, self._heartbeat_s))

    def _heartbeat(self) -> None:
        seen = self._claims.seen()
        replaced = any(
            self._claim.id in other.claim.replaces for other in seen.values() if other.claim.phase == "holding"
        )
        if replaced or self._claim.id not in seen:
            self.lost = True
            return
        with self._lock:
            self._claim = claim = replace(self._claim, heartbeats=self._claim.heartbeats + 1)
        self._claims.write(claim)


@contextmanager
def study_lease(
    folder: StudyFolder,
    name: str,
    hint: str,
    part: Shard | None = None,
    lease_s: float = LEASE_S,
    heartbeat_s: float = HEARTBEAT_S,
) -> Iterator[LeaseHolder]:
    """Hold the lease on a study, or on a part of it, for as long as the context lasts.

    The lease of a driver on this machine whose process has ended is taken over at once; that of a driver on another
    machine after it has missed its heartbeat for `lease_s`, which is waited for.

    Parameters
    ----------
    folder : StudyFolder
        The study's.
    name : str
        The study's.
    hint : str
        The next step where another driver holds it.
    part : Shard | None
        The part to run; other parts of the same division may have drivers of their own. The whole study when None.
    lease_s : float
        A driver that has missed its heartbeat for so long is taken to be gone.
    heartbeat_s : float
        Interval of the heartbeats.

    Raises
    ------
    BusyError
        If another driver holds the lease.
    StoreError
        If another driver took the study over because this one missed its heartbeat for `lease_s`.
    """
    claims = folder.claims()
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    claim = Claim(uuid.uuid4().hex, "asking", since, this_process(), part)
    holder = LeaseHolder(folder.claims(hurried=True), claim, heartbeat_s)
    try:
        # A signal may interrupt any line from here on, the start of a thread included, and no claim must stay.
        holder.hold(_ask(claims, claim, f"'{name}' in {folder.uri.rpartition('/studies/')[0]}", hint, lease_s))
        yield holder
    except KeyboardInterrupt:
        if holder.lost:
            raise StoreError(
                f"Study '{name}' was taken over by another driver: this one, which had held it since {since}, missed "
                f"its heartbeat for {lease_s:.0f} s (its machine slept, or could not reach the store).",
                hint,
            ) from None
        raise
    finally:
        holder.stop()


def _ask(claims: Claims, claim: Claim, study: str, hint: str, lease_s: float) -> Claim:
    """Take the lease as soon as nobody else holds it or asks for it; drivers of other parts do not count.

    Whoever holds has listed the claims after writing its own and found no other that concerns it. Of two that ask, the
    one that listed later sees the other's claim, so never do both hold; the lower id waits for the higher to withdraw.
    """
    first: dict[str, SeenClaim] = {}
    watch = Watch(claims.one_clock)
    warned = False
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
            alive = found.claim.heartbeats > before.claim.heartbeats
            first_in_line = found.claim.phase == "holding" or other < claim.id
            if first_in_line and (alive or found.surely_there()):
                ago = silent_s[other] if alive else max(0.0, own.written_s - found.written_s)
                what = f"part {found.claim.part}" if found.claim.part else "it"
                raise BusyError(
                    f"Study {study} is already running: another driver has held {what} since {found.claim.since}; its "
                    f"last heartbeat was {ago:.0f} s ago.",
                    hint,
                )
        if not warned:
            warned = True
            _log.warning(
                "Study %s is claimed by a driver on another machine. Waiting up to %.0f s for its next heartbeat.",
                study,
                max(1, lease_s - min(silent_s[other] for other in there)),
            )
        time.sleep(_POLL_S)
        claim = replace(claim, heartbeats=claim.heartbeats + 1)


def lease_holders(folder: StudyFolder, lease_s: float = LEASE_S) -> tuple[list[SeenClaim], list[SeenClaim]]:
    """The claims of drivers that hold the lease (one for each part, or several for a moment), and of those gone.

    Nothing is written and nothing watched, so ages are by this machine's clock where the process itself cannot be
    looked up.
    """
    seen = [found for found in folder.claims().seen().values() if found.claim.phase == "holding"]
    gone = [found for found in seen if found.gone(time.time() - found.written_s, lease_s)]
    return [found for found in seen if found not in gone], gone
