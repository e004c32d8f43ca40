"""Studies on a Ray cluster, or on a Ray of their own on this machine.

| module | what |
|---|---|
| `requirements` | that Ray is installed and `RAY_ADDRESS` can be joined, before Ray is imported |
| `session`, `session_folder`, `token`, `head_watch` | joining or starting Ray |
| `engine` | the engine: tasks in, events out |
| `worker_pool`, `worker_groups`, `trainers`, `resources` | how many workers run, and on which machines |
| `broker`, `task_queue` | the actor between driver and workers, and the queue with its leases |
| `worker`, `reporter`, `preemption`, `data_parallel` | what runs in a worker's process |
| `worker_failure`, `kernel_kills`, `train_watch`, `loss_budget` | what a worker died of, and how many may be lost |
| `shared_tables`, `sharded_source`, `corpus_build` | tables on their way to workers, and their making, by Ray Data |
| `cluster_view` | what Ray's head says of the cluster |

Nothing is imported here: Ray and torch take seconds.
"""
