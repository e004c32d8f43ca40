"""Make a bucket of the S3 server that the environment names (AWS_ENDPOINT_URL), as soon as it answers."""

import os
import sys
import time

from pyarrow import fs

PATIENCE_S = 120.0

deadline = time.monotonic() + PATIENCE_S
scheme, _, address = os.environ["AWS_ENDPOINT_URL"].partition("://")
while True:
    try:
        server = fs.S3FileSystem(scheme=scheme, endpoint_override=address, allow_bucket_creation=True)
        server.create_dir(sys.argv[1])
        break
    except OSError as error:
        if time.monotonic() > deadline:
            sys.exit(f"no bucket '{sys.argv[1]}' within {PATIENCE_S:g} s: {error}")
        time.sleep(1)
print(f"the bucket '{sys.argv[1]}' is there")
