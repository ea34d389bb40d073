# The parts of the node, from their released Go modules. Sourced by `node`.
# shellcheck shell=bash
# The same flags everywhere, so that Go's caches are shared: -trimpath, no symbols, CGO only for the kubelet.

PACKAGES=(buildah containerd runc debootstrap containernetworking-plugins iptables iproute2 conntrack openssl util-linux gcc libc6-dev)
GO_PARTS=(kube etcd coredns istio helm3 helm4)

install_packages() {
  local missing=()
  for package in "${PACKAGES[@]}"; do dpkg -s "$package" > /dev/null 2>&1 || missing+=("$package"); done
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null 2>&1 ||
    { apt-get update -qq > /dev/null && apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null; } ||
    die "apt-get could not install ${missing[*]}"
}

check_go() {
  command -v go > /dev/null || die "Go 1.26 or newer is needed to build the node"
  local version; version=$(go env GOVERSION)
  [[ $(printf '%s\n' go1.26 "$version" | sort -V | head -n 1) == go1.26 ]] || die "Go 1.26 or newer is needed, this is $version"
}

export CGO_ENABLED=0
go_module() { go mod init "node/$1"; go mod edit -go 1.26.0; }
go_build() { go build -trimpath -ldflags "-s -w ${3:-}" -o "$PWD/bin/$1" "$2"; }
go_done() { rm -rf go.mod go.sum; }

recipe_kube() {
  local version=1.36.3 module stamp                   # a kubelet from 1.35 on needs failCgroupV1: false on cgroup v1
  stamp="-X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${version:2:2}"
  go_module kube
  go mod edit -require "k8s.io/kubernetes@v$version"
  module=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
  # the staging modules are required as v0.0.0 there, and released as v0.X.Y
  grep -oE '^\s+k8s\.io/[a-z-]+ v0\.0\.0($| )' "$module" | awk '{print $1}' | sort -u |
    while read -r staging; do go mod edit -replace "$staging=$staging@v0.${version#1.}"; done
  for command in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do go mod edit -tool "k8s.io/kubernetes/cmd/$command"; done
  go mod tidy
  for command in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do go_build $command k8s.io/kubernetes/cmd/$command "$stamp"; done
  CGO_ENABLED=1 go_build kubelet k8s.io/kubernetes/cmd/kubelet "$stamp"
  go_done
}
recipe_etcd() { go_module etcd; go get -tool go.etcd.io/etcd/server/v3@v3.6.16; go_build etcd go.etcd.io/etcd/server/v3; go_done; }
recipe_coredns() { go_module coredns; go get -tool github.com/coredns/coredns@v1.15.0; go_build coredns github.com/coredns/coredns; go_done; }
recipe_helm3() { go_module helm3; go get -tool helm.sh/helm/v3/cmd/helm@v3.22.0; go_build helm3 helm.sh/helm/v3/cmd/helm; go_done; }
recipe_helm4() { go_module helm4; go get -tool helm.sh/helm/v4/cmd/helm@v4.3.1; go_build helm4 helm.sh/helm/v4/cmd/helm; go_done; }
recipe_istio() {
  # release-1.31; other pseudo-versions pull in modules that are not served
  local version=v0.0.0-20260827124520-eed52ebb66ad api=v1.31.4 source
  go_module istio
  go get istio.io/api@$api istio.io/client-go@$api
  go get -tool istio.io/istio/pilot/cmd/pilot-discovery@$version
  go_build pilot-discovery istio.io/istio/pilot/cmd/pilot-discovery
  source=$(go list -m -f '{{.Dir}}' istio.io/istio)
  cp -r --no-preserve=mode "$source/manifests/charts" charts
  go_done
}

build() {
  install_packages
  local part
  for part in "${GO_PARTS[@]}"; do
    [[ -d $(place "$part") ]] || check_go
    make_part "$part"
  done
}
