# What the scripts of tests/cluster share: places, versions, messages. Sourced, not run.
# shellcheck shell=bash
set -euo pipefail
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
CACHE=${ISTIO_PCA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/istio-pca}
PARTS=$CACHE/node            # built parts, each in a folder whose name holds its version and its recipe's digest
RUN=$CACHE/run               # the node that is up: keys, state, logs; gone after `down`
# of its own for each cache: a kubelet ends all Pods below its cgroup that it does not know, another node's too
CGROUP=istio-pca-$(printf %s "$RUN" | sha256sum | cut -c1-8)
NODE_IP=172.31.99.1          # only inside the node's network namespace
AGENT_IP=169.254.170.23      # where a Pod of EKS finds the Pod Identity agent of its node
PYTHON=${PYTHON:-python3}
[[ -x $ROOT/.venv/bin/python ]] && PYTHON=$ROOT/.venv/bin/python

say() { printf '\033[2m[node]\033[0m %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

declare -A DAEMONS=()        # name: pid of what this process started
all_alive() {
  local name
  for name in "${!DAEMONS[@]}"; do kill -0 "${DAEMONS[$name]}" 2> /dev/null || { say "$name has ended; see its log"; return 1; }; done
}
# wait_for SECONDS WHAT COMMAND...: until the command succeeds; says what it waited for in vain. Not longer than the daemons live
wait_for() {
  local seconds=$1 what=$2 end; shift 2; end=$((SECONDS + seconds))
  until "$@" > /dev/null 2>&1; do
    all_alive || return 1
    ((SECONDS < end)) || { say "waited $seconds s in vain for $what"; return 1; }
    sleep 0.3
  done
}

declare -A VERSION=()        # build.sh says
# place NAME: where this part is, by its version and the digest of all that determines it
place() {
  local name=$1 digest
  digest=$({ declare -f "recipe_$name"; printf '%s\n' "${VERSION[$name]:-}"; inputs "$name"; } | sha256sum | cut -c1-12)
  printf '%s/%s-%s%s' "$PARTS" "$name" "${VERSION[$name]:+${VERSION[$name]}-}" "$digest"
}

# make_part NAME: run its recipe in an empty folder, and put it in place in one step
make_part() {
  local name=$1 target; target=$(place "$name")
  [[ -d $target ]] && { touch "$target"; return; }
  local begin=$SECONDS work log=$PARTS/.$name.log; work=$(mktemp -d "$PARTS/.$name.XXXX")
  say "building $name"
  # a process of its own: bash ignores `set -e` in a function whose failure is handled, and half a part would pass for a whole one
  if ! (cd "$work" && exec "$HERE/node" recipe "$name" > "$log" 2>&1 < /dev/null); then
    tail -n 30 "$log" >&2; rm -rf --one-file-system "$work"
    die "$name could not be built; its log: $log"
  fi
  mv -T "$work" "$target"; rm -f "$log"
  say "built $name in $((SECONDS - begin)) s"
}

# one at a time on this cache; what a killed run left, and what no checkout used for a day, goes
tidy_parts() {
  mkdir -p "$PARTS"
  exec 9> "$PARTS/.lock"
  flock -n 9 || { say "another build is under way; waiting for it"; flock 9; }
  find "$PARTS" -mindepth 1 -maxdepth 1 -type d \( -name '.*' -o -mmin +1440 ! -path "$(place base)" \) -exec rm -rf --one-file-system {} +
}
