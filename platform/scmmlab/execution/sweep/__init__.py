"""A run of a sweep: one search, in the order of the sweep, on two hosts.

| module | what |
|---|---|
| `run` | the run: which settings are missing, and what became of them |
| `search`, `order`, `rungs` | what is sampled next, what is stopped, in which order |
| `optuna_study`, `optuna_distributions` | the sampler's study and its distributions, by Optuna |
| `local_search`, `tune_search`, `tune_trial` | the search in this process, and under Ray Tune |
| `setting`, `slots`, `records` | a sampled setting on its way to a worker, what a worker does with it, and its record |
"""
