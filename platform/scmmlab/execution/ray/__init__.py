"""Studies on a Ray cluster, or on a Ray of their own on this machine.

| module | what |
|---|---|
| `requirements`, `session_folder` | what is checked before Ray is started or joined |
| `session`, `token`, `head_watch` | starting or joining Ray, and whether its head is alive |
| `engine` | the engine: tasks in, events out |
| `worker_pool`, `worker_groups`, `trainers`, `independent_workers`, `resources` | how many workers run, and where |
| `broker`, `task_queue`, `worker_table`, `followers`, `messages` | the actor between driver and workers, its parts |
| `worker`, `reporter`, `preemption`, `data_parallel` | what runs in a worker's process |
| `worker_failure`, `kernel_kills`, `loss_budget` | why a worker died, and how many may be lost |
| `shared_tables`, `sharded_source`, `corpus_build` | tables on their way to workers, and building them, by Ray Data |
| `cluster_view` | the state of the cluster |
| `private` | everything that is used of Ray beside its public interface |

Nothing is imported here: Ray and torch take seconds.
"""
