# The images, without a registry and without a Docker daemon, as OCI archives. Sourced by `node`.
# shellcheck shell=bash

PYTHON_OF_BASE=3.11      # bookworm's; the Dockerfile's own bases have the same

# save CONTAINER IMAGE FILE: commit it, write it to the file, forget it
save() {
  buildah commit -q --rm "$1" "$2" > /dev/null
  buildah push -q "$2" "oci-archive:$3:$2"
}

recipe_pause() {         # the process that holds a Pod's namespaces
  printf '%s\n' '#include <signal.h>' '#include <unistd.h>' '#include <sys/wait.h>' \
    'static void reap(int s){while(waitpid(-1,0,WNOHANG)>0);}' 'static void down(int s){_exit(0);}' \
    'int main(){signal(SIGINT,down);signal(SIGTERM,down);signal(SIGCHLD,reap);for(;;)pause();}' > pause.c
  gcc -static -Os -o pause pause.c
  local container; container=$(buildah from scratch)
  buildah add -q "$container" pause /pause > /dev/null
  buildah config --entrypoint '["/pause"]' "$container"
  save "$container" registry.k8s.io/pause:3.10 "$PWD/pause.tar"
}

recipe_base() {          # Debian with Python and pip, where the Dockerfile names an image of a registry
  debootstrap --variant=minbase --include=python3,python3-pip,ca-certificates bookworm root
  rm -rf root/var/cache/apt/* root/var/lib/apt/lists/* root/usr/share/doc root/usr/share/man
  tar -C root -cf base.tar .
  # the base of the final stage: Python, libraries, certificates; no shell, no package manager, no other program
  local program
  for program in root/usr/bin/* root/usr/sbin/*; do
    case ${program##*/} in python3 | python3.11) ;; *) rm -rf "$program" ;; esac
  done
  rm -rf root/usr/lib/apt root/usr/lib/dpkg root/var/lib/dpkg root/etc/apt root/usr/lib/python3/dist-packages root/usr/lib/gcc root/usr/libexec \
    root/usr/share/{locale,i18n,perl5,zoneinfo,bash-completion} root/usr/lib/x86_64-linux-gnu/perl* root/dev/*
  tar -C root -cf bare.tar .
  rm -rf root
}

recipe_pilot() {
  local container; container=$(buildah from scratch)
  buildah add -q "$container" "$(place base)/bare.tar" / > /dev/null
  buildah copy -q "$container" "$(place istio)/bin/pilot-discovery" /usr/local/bin/pilot-discovery > /dev/null
  buildah config --entrypoint '["/usr/local/bin/pilot-discovery"]' --user 1337:1337 "$container"
  save "$container" localhost/istio/pilot:e2e "$PWD/pilot.tar"
  buildah rmi localhost/istio/pilot:e2e > /dev/null
}

# our own images: their recipes depend on the files that go into them
project_files() {
  case $1 in
    job) printf '%s\n' Dockerfile .dockerignore requirements/job.txt job ;;
    emulator) printf '%s\n' tests/pca_emulator requirements/emulator.txt ;;
  esac
}
inputs() {
  case $1 in
    job | emulator) (cd "$ROOT" && project_files "$1" | xargs -I{} find {} -type f ! -name '*.pyc' | sort | xargs sha256sum; place base) ;;
    pilot) place base; place istio ;;
  esac
}
recipe_job() { project_image Dockerfile localhost/istio-pca:e2e "$PWD/job.tar"; }
recipe_emulator() { project_image tests/pca_emulator/Dockerfile localhost/pca-emulator:e2e "$PWD/emulator.tar"; }

# project_image DOCKERFILE IMAGE FILE: the same Dockerfile that is shipped, on bases that were made here
project_image() {
  local secrets; secrets=$(mktemp -d)
  base_images
  # pip in the build stage reaches its index as pip on this machine does; nothing of that stays in the image
  "$PYTHON" -m pip config list 2> /dev/null | sed -nE "s/^(global|:env:)\.([a-z-]+)='(.*)'$/\2 = \3/p" | sort -u | grep -v '^find-links' |
    { echo '[global]'; cat; } > "$secrets/pip.conf"
  buildah build -q --layers=false --secret "id=pip,src=$secrets/pip.conf" --volume /etc/ssl/certs:/etc/ssl/certs:ro \
    --build-arg BUILD_BASE=localhost/base:e2e --build-arg BASE=localhost/bare:e2e -f "$ROOT/$1" -t "$2" "$ROOT"
  rm -rf "$secrets"
  buildah push -q "$2" "oci-archive:$3:$2"
  buildah rmi "$2" > /dev/null
}
base_images() {          # into buildah's own store, which may have been emptied
  local container kind
  for kind in base bare; do
    buildah inspect --type image "localhost/$kind:e2e" > /dev/null 2>&1 && [[ $(buildah inspect --type image --format '{{index .OCIv1.Config.Labels "part"}}' "localhost/$kind:e2e") == "$(place base)" ]] && continue
    container=$(buildah from scratch)
    buildah add -q "$container" "$(place base)/$kind.tar" / > /dev/null
    buildah config --label "part=$(place base)" "$container"
    buildah commit -q --rm "$container" "localhost/$kind:e2e" > /dev/null
  done
}

images() { local part; for part in pause base pilot job emulator; do make_part "$part"; done; }
archives() { local part; for part in pause pilot job emulator; do printf '%s\n' "$(place "$part")/$part.tar"; done; }
