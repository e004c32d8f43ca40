"""An S3 server of the tests' own: moto's, in a process, which refuses to write while a file is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import fs

BUCKET = "results"


@dataclass(frozen=True)
class S3Server:
    """A server that answers."""

    port: int
    refusal: Path
    """While this file is there, nothing can be written."""
    host: str = "127.0.0.1"

    def uri(self, prefix: str) -> str:
        """A store of that prefix, as a user names it."""
        options = f"endpoint_override={self.host}:{self.port}&scheme=http&region=us-east-1"
        return f"s3://key:open-sesame@{BUCKET}/{prefix}?{options}"

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Nothing can be written for as long as the context lasts."""
        self.refusal.touch()
        try:
            yield
        finally:
            self.refusal.unlink()


@contextmanager
def s3_server(folder: Path, host: str = "127.0.0.1") -> Iterator[S3Server]:
    """Start a server with an empty bucket, and end it."""
    refusal = folder / "refuse"
    command = [sys.executable, __file__, str(refusal), host]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline()
            assert port, (folder / "log").read_text()
            server = S3Server(int(port), refusal, host)
            filesystem, path = fs.FileSystem.from_uri(f"{server.uri('')}&allow_bucket_creation=true")
            filesystem.create_dir(path)
            yield server
        finally:
            process.kill()


def _serve(refusal: Path, host: str) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    moto = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE") and refusal.exists():
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
        return moto(environ, start_response)

    server = make_server(host, 0, application, threaded=True)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])
