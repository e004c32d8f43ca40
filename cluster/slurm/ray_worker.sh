#!/usr/bin/env bash
# A node's share in the Ray of a job, until it is told to end: ray_worker.sh ADDRESS FOLDER RAY OPTION... < TOKEN
# Started on each node but the first by study.sbatch, whose environment it has.
set -euo pipefail
address=$1 folder=$2 ray=$3
shift 3
# shellcheck source=cluster/slurm/job.sh
source "$(dirname "$0")/job.sh"

umask 077
ours=''
# the head chose the name: a stranger's folder must not be used, and the head's own not removed
if mkdir "$folder" 2> /dev/null; then
    ours=yes
elif [[ ! -O $folder || -L $folder ]]; then
    refuse "$folder on $(hostname) belongs to another user."
fi
cat > "$folder/token-$SLURM_NODEID"
mv "$folder/token-$SLURM_NODEID" "$RAY_AUTH_TOKEN_PATH"

pid=''
let_go() {
    trap '' TERM INT
    [[ -z $pid ]] || end_process "$pid"
    [[ -z $ours ]] || remove "$folder"
}
trap let_go EXIT
trap 'exit 0' TERM INT

"$ray" start --address="$address" --block "$@" > "$folder/worker-$SLURM_NODEID.log" 2>&1 &
pid=$!
wait "$pid" || { tail -n 20 "$folder/worker-$SLURM_NODEID.log" >&2; exit 1; }
