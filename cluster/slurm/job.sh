# shellcheck shell=bash
# The life of a study within a Slurm job, for the batch scripts beside this file, which source it and define let_go,
# which ends what they started: what is checked first, how the study is stopped, and whether the job is requeued.

say() { printf 'slurm: %s\n' "$*"; }

refuse() {
    say "$*" >&2
    exit 2
}

# end_process PID: ask a child to end, and make it after ten seconds.
end_process() {
    local pid=$1
    kill -TERM "$pid" 2> /dev/null || return 0
    for _ in {1..50}; do
        kill -0 "$pid" 2> /dev/null || return 0
        sleep 0.2
    done
    kill -KILL "$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null || true
}

# remove FOLDER: what is just ending may still write there, and nothing of that is worth a job.
remove() {
    for _ in {1..50}; do
        ! rm -rf "$1" 2> /dev/null || return 0
        sleep 0.2
    done
    say "$1 on $(hostname) is left behind."
}

# begin STUDY [--set PATH=VALUE ...]: check everything that costs nothing, and make the job's folder.
begin() {
    warned='' study_pid='' folder='' part=() tracking=() where=()
    [[ $# -ge 1 && $1 != -* ]] || refuse "Which study? sbatch $0 ablations/demo.yaml [--set PATH=VALUE ...]"
    [[ -x $VENV/bin/scmmlab ]] || refuse "There is no $VENV/bin/scmmlab. Hint: make setup, or set VENV."
    study=("$@")
    [[ -z $STORE ]] || where=(--store "$STORE")
    [[ -z $TRACKING ]] || tracking=(--tracking-uri "$TRACKING")
    if [[ -n ${SLURM_ARRAY_TASK_ID:-} ]]; then
        local tasks=$SLURM_ARRAY_TASK_MAX
        # shellcheck disable=SC2153  # Slurm sets it
        [[ $SLURM_ARRAY_TASK_MIN == 1 && $SLURM_ARRAY_TASK_COUNT == "$tasks" ]] || refuse \
            "The array must be 1-N: each task runs one of N parts. Hint: submit it as it was; finished parts end at once."
        part=(--part "$SLURM_ARRAY_TASK_ID/$tasks")
    fi

    # USR1 announces the time limit (--signal above). TERM comes when the job is cancelled or preempted: who cancels
    # wants no requeue, and who preempts makes it himself.
    trap 'warned=limit; stop_study' USR1
    trap 'warned=cancelled; stop_study' TERM INT
    trap let_go EXIT
    # shellcheck disable=SC2034  # let_go removes it
    folder=$(mktemp -d "$LOCAL/scmmlab-$SLURM_JOB_ID-XXXXXX")

    "$VENV/bin/scmmlab" plan "${study[@]}" "${where[@]}" --no-estimate > /dev/null || exit
    before=$(last_kept)
}

# When the study, or this job's part of it, kept a result or checkpoint last: a line, or nothing.
last_kept() {
    local told status=0
    told=$("$VENV/bin/scmmlab" status "${study[@]}" "${where[@]}" "${part[@]}") || status=$?
    ((status <= 1)) || return "$status" # 1: not complete
    grep '^Last ' <<< "$told" || true
}

# run_study [OPTION ...]: run what is missing; its exit status is then in $status.
run_study() {
    status=130
    [[ -z $warned ]] || return 0
    "$VENV/bin/scmmlab" run "${study[@]}" "${where[@]}" "${part[@]}" "${tracking[@]}" "$@" &
    study_pid=$!
    [[ -z $warned ]] || stop_study
    # a signal ends `wait`, and not the study
    while :; do
        status=0
        wait "$study_pid" || status=$?
        kill -0 "$study_pid" 2> /dev/null || break
    done
    study_pid=''
}

# The first SIGTERM has a study finish what it is writing, and end with status 130.
stop_study() {
    [[ -z $study_pid ]] || kill -TERM "$study_pid" 2> /dev/null || true
}

# End the job, or have it run again where the study was cut, by the time limit or by what it ran on, and gets on.
end() {
    local why within
    case $status in
        # 143: the signal came before the study had begun to listen
        130 | 143)
            [[ $warned == limit ]] || exit "$status"
            status=1 why="The time limit is near" within="within the job's time limit"
            ;;
        75) # to be tried again, as the study says: machines were lost, or others hold them
            [[ $warned != cancelled ]] || exit "$status"
            why="What the study ran on was lost or is held by others" within="since the job's start"
            ;;
        *) exit "$status" ;;
    esac
    local restarts=${SLURM_RESTART_COUNT:-0} job=$SLURM_JOB_ID after
    after=$(last_kept)
    if [[ $after == "$before" ]]; then
        say "Not requeued: the study kept no result and no checkpoint $within."
        say "Hint: a longer --time, or --set resources.checkpoint_every=1"
        exit "$status"
    fi
    if ((restarts >= REQUEUES)); then
        say "Not requeued: it was $restarts times before, which is the most that REQUEUES allows. Submitted again, it goes on."
        exit "$status"
    fi
    let_go
    trap - EXIT
    # of an array, the number alone would mean all its tasks
    [[ -z ${SLURM_ARRAY_JOB_ID:-} ]] || job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
    say "$why, and the study not complete: requeued, for the $((restarts + 1)). time."
    # a controller that is busy is asked again
    for _ in {1..5}; do
        ! scontrol requeue "$job" || exit 0
        sleep 5
    done
    exit "$status"
}
