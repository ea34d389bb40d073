# What the scripts of tests/cluster share: places, versions, messages. Sourced, not run.
# shellcheck shell=bash
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
CACHE=${ISTIO_PCA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/istio-pca}
PARTS=$CACHE/node            # built parts, each in a folder whose name holds its version and its recipe's digest
RUN=$CACHE/run               # the node that is up: pids, logs, keys, state; gone after `down`
NETNS=istio-pca-node
NODE_IP=172.31.99.1          # only inside the network namespace
PYTHON=${PYTHON:-python3}
[[ -x $ROOT/.venv/bin/python ]] && PYTHON=$ROOT/.venv/bin/python

export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs   # neither overlay mounts nor user namespaces may be had in a container

say() { printf '\033[2m[node]\033[0m %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# wait_for SECONDS WHAT COMMAND...: until the command succeeds; says what it waited for in vain
wait_for() {
  local seconds=$1 what=$2 end; shift 2; end=$((SECONDS + seconds))
  until "$@" > /dev/null 2>&1; do
    ((SECONDS < end)) || { say "waited $seconds s in vain for $what"; return 1; }
    sleep 0.3
  done
}

# place NAME: where the part of this name is, by the digest of its recipe (the function recipe_NAME and what it names)
place() {
  local name=$1
  printf '%s/%s-%s' "$PARTS" "$name" "$({ declare -f "recipe_$name"; inputs "$name"; } | sha256sum | cut -c1-12)"
}
inputs() { :; }   # images.sh says more

# make_part NAME: run its recipe in an empty folder, and put it in place in one step
make_part() {
  local name=$1 target; target=$(place "$name")
  [[ -d $target ]] && return
  local begin=$SECONDS work; mkdir -p "$PARTS"; work=$(mktemp -d "$PARTS/.$name.XXXX")
  say "building $name"
  (cd "$work" && "recipe_$name" > "$work.log" 2>&1) || { tail -n 30 "$work.log" >&2; rm -rf "$work"; die "$name could not be built; its log: $work.log"; }
  mv "$work" "$target"; rm -f "$work.log"
  find "$PARTS" -maxdepth 1 -name "$name-????????????" ! -path "$target" -exec rm -rf {} +   # older versions
  say "built $name in $((SECONDS - begin)) s"
}
