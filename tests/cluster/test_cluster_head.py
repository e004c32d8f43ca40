"""The head of all recipes: drivers run there, it has the tables, and it offers no CPU for training."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scmmlab.tables import read_manifest

TABLE = "shipped:eegmat"
READ = f"""
import ray
from ray.cluster_utils import Cluster
from scmmlab.execution.ray.shared_tables import read_dataset

memory = {{"object_store_memory": 200 * 2**20}}
cluster = Cluster(initialize_head=True, head_node_args={{"num_cpus": 0, **memory}})
cluster.add_node(num_cpus=1, **memory)
ray.init(address=cluster.address, log_to_driver=False)
print("windows:", read_dataset({TABLE!r}).count())
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
def test_a_table_on_the_disk_of_a_head_without_cpus_is_read_there():
    done = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"windows: {read_manifest(TABLE).windows}\n" in done.stdout
