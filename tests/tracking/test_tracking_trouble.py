"""A real MLflow server that is slow, or has no room for a while, shows in the end what an undisturbed one does."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psutil
import pytest
from mlflow_server import MlflowServer, free_port
from test_tracking_outage import CELLS, SPEC, VERSIONS, tell_cell, until

from scmmlab.tracking import MlflowTracker

pytestmark = pytest.mark.slow

DELAY_S = 0.1
OF_THE_RUN = ("mlflow.parentRunId", "mlflow.runName")


SLOW_PORT = free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("server")
    with MlflowServer(folder, f"sqlite:///{folder / 'mlflow.db'}", ports=(SLOW_PORT,)) as server:
        yield server


def start(uri, study) -> MlflowTracker:
    tracker = MlflowTracker(uri)
    tracker.start_study(study, SPEC, "the plan", VERSIONS)
    return tracker


def tell(tracker, cells) -> None:
    """Tell of cells, as training does: it has no time to wait."""
    begun = time.monotonic()
    for cell in cells:
        tell_cell(tracker, cell)
    assert time.monotonic() - begun < 1.0, "training waited for MLflow"


def end(tracker) -> None:
    tracker.progress(3, 0, 3)
    tracker.finish_study(None, complete=True)
    tracker.close()
    assert tracker.dropped == 0


def view(server, study) -> dict[str, tuple]:
    """Everything that is shown of a study, but for IDs and times."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(server.uri)
    runs = client.search_runs([client.get_experiment_by_name(study).experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs), "a run is there twice"
    return {
        run.info.run_name.replace(study, "the study"): (
            run.info.status,
            run.data.params,
            {name: text for name, text in run.data.tags.items() if name not in OF_THE_RUN},
            {
                name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            },
            sorted((data.dataset.name, data.dataset.digest) for data in run.inputs.dataset_inputs),
            sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        )
        for run in runs
    }


@pytest.fixture(scope="module")
def undisturbed(server) -> dict[str, tuple]:
    tracker = start(server.uri, "undisturbed")
    tell(tracker, CELLS[:3])
    end(tracker)
    found = view(server, "undisturbed")
    assert set(found) == {"study the study", *(cell.name for cell in CELLS[:3])}
    return found


@contextmanager
def slow_way_to(port: int) -> Iterator[str]:
    """An address that leads to `port`, and takes its time with all that passes."""

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(2**16):
                time.sleep(DELAY_S)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):  # it was closed
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pass_on, args=pair, daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", SLOW_PORT))) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{SLOW_PORT}"


def test_a_slow_server_holds_nobody_up_and_shows_the_same(server, undisturbed) -> None:
    with slow_way_to(server.port) as uri:
        tracker = start(uri, "slow")
        tell(tracker, CELLS[:3])
        end(tracker)
    assert view(server, "slow") == undisturbed


@contextmanager
def without_room(server) -> Iterator[None]:
    """The server's processes can make no file longer, as on a full disk."""
    first = psutil.Process(server._process.pid)
    processes = [first, *first.children(recursive=True)]
    for process in processes:
        process.rlimit(psutil.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for process in processes:
            process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_server_without_room_for_the_middle_third_shows_the_same(server, undisturbed) -> None:
    tracker = start(server.uri, "full")
    tell(tracker, CELLS[:1])
    until(lambda: _ended(server, "full", CELLS[0]), "the first third is not shown")
    with without_room(server):
        tell(tracker, CELLS[1:2])
        until(lambda: tracker.errors > 1, "the server found room")
    tell(tracker, CELLS[2:3])
    end(tracker)
    assert view(server, "full") == undisturbed


def _ended(server, study, cell) -> bool:
    from mlflow.tracking import MlflowClient

    experiment = MlflowClient(server.uri).get_experiment_by_name(study)
    runs = MlflowClient(server.uri).search_runs([experiment.experiment_id]) if experiment else []
    return any(run.info.run_name == cell.name and run.info.status == "FINISHED" for run in runs)
