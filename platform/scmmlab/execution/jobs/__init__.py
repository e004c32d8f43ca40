"""Studies as jobs of a remote Ray cluster: what is sent there, under which name, and how it is followed.

| module | what |
|---|---|
| `dashboard` | what answers at an address, and whether it requires a token |
| `client` | Ray's job client, with a time limit on every request and errors that say what to do |
| `left_behind`, `working_directory` | what a job gets of a folder, and whether Ray accepts its size |
| `study_job` | a study as a job: command, environment, name |
| `past_jobs` | the jobs that studies have had, and their exit statuses |
| `following`, `log_view` | a job's log as it grows, over lost connections; how it is shown |
"""
