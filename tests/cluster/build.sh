# The parts of the node, from their released Go modules. Sourced by `node`.
# shellcheck shell=bash
# The same flags everywhere, so that Go's caches are shared: -trimpath, no symbols, CGO only for the kubelet.

PACKAGES=(buildah containerd runc debootstrap containernetworking-plugins iptables iproute2 conntrack openssl util-linux gcc libc6-dev redis-server git gnupg curl skopeo)
GO_PARTS=(kube etcd coredns istio helm3 helm4 argo flux gateway_api)
VERSION+=(
  [kube]=1.36.3              # a kubelet from 1.35 on needs failCgroupV1: false on cgroup v1
  [etcd]=v3.6.16 [coredns]=v1.15.0 [helm3]=v3.22.0 [helm4]=v4.3.1
  [argo]=v3.2.6              # from 3.4 on its engine is a local replace; 3.6 needs Go 1.27
  [flux]=v1.6.3              # of its helm-controller; newer ones need a Helm that is not served
  [peer]=v1.21.2             # of cert-manager; for the bench alone
  [gateway_api]=v1.6.0       # that this Istio is built with
  [istio]=v0.0.0-20260827124520-eed52ebb66ad   # release-1.31; other pseudo-versions pull in modules that are not served
)
PRIVATECA_ISSUER=v1.11.0      # newer ones need Go 1.27
ISTIO_API=v1.31.4
FLUX_SOURCES=v1.9.4 FLUX_ARTIFACT=v0.18.0   # the next ones of the latter are not served

install_packages() {
  local missing=() apt=(apt-get -o DPkg::Lock::Timeout=300 -qq)
  for package in "${PACKAGES[@]}"; do dpkg -s "$package" > /dev/null 2>&1 || missing+=("$package"); done
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" > /dev/null 2>&1 ||
    { "${apt[@]}" update > /dev/null && "${apt[@]}" install -y --no-install-recommends "${missing[@]}" > /dev/null; } ||
    die "apt-get could not install ${missing[*]}"
}

check_go() {
  command -v go > /dev/null || die "Go 1.26 or newer is needed to build the node"
  local version; version=$(go env GOVERSION)
  [[ $(printf '%s\n' go1.26 "$version" | sort -V | head -n 1) == go1.26 ]] || die "Go 1.26 or newer is needed, this is $version"
}

export CGO_ENABLED=0
go_module() { go mod init node/part; go mod edit -go 1.26.0; }
go_build() { go build -trimpath -ldflags "-s -w ${3:-}" -o "$PWD/bin/$1" "$2"; }
# go_replaces MODULE@VERSION: what this module replaces in its own build, which Go ignores in ours
go_replaces() {
  local module replaced
  module=$(go mod download -json "$1" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
  sed -nE 's/^(replace)?\s*(\S+) => (\S+) (\S+)$/\2=\3@\4/p' "$module" | while read -r replaced; do go mod edit -replace "$replaced"; done
}
go_tool() { go_module; go get -tool "$2@$3"; go_build "$1" "$2"; rm go.mod go.sum; }

recipe_kube() {
  local version=${VERSION[kube]} module stamp
  stamp="-X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${version:2:2}"
  go_module
  go mod edit -require "k8s.io/kubernetes@v$version"
  module=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
  # the staging modules are required as v0.0.0 there, and released as v0.X.Y
  grep -oE '^\s+k8s\.io/[a-z-]+ v0\.0\.0($| )' "$module" | awk '{print $1}' | sort -u |
    while read -r staging; do go mod edit -replace "$staging=$staging@v0.${version#1.}"; done
  for command in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do go mod edit -tool "k8s.io/kubernetes/cmd/$command"; done
  go mod tidy
  for command in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do go_build $command k8s.io/kubernetes/cmd/$command "$stamp"; done
  CGO_ENABLED=1 go_build kubelet k8s.io/kubernetes/cmd/kubelet "$stamp"
  rm go.mod go.sum
}
recipe_etcd() { go_tool etcd go.etcd.io/etcd/server/v3 "${VERSION[etcd]}"; }
recipe_coredns() { go_tool coredns github.com/coredns/coredns "${VERSION[coredns]}"; }
recipe_helm3() { go_tool helm3 helm.sh/helm/v3/cmd/helm "${VERSION[helm3]}"; }
recipe_helm4() { go_tool helm4 helm.sh/helm/v4/cmd/helm "${VERSION[helm4]}"; }
recipe_istio() {
  local source
  go_module
  go get istio.io/api@$ISTIO_API istio.io/client-go@$ISTIO_API
  go get -tool "istio.io/istio/pilot/cmd/pilot-discovery@${VERSION[istio]}"
  go get -tool "istio.io/istio/pilot/cmd/pilot-agent@${VERSION[istio]}"
  go_build pilot-discovery istio.io/istio/pilot/cmd/pilot-discovery
  go_build pilot-agent istio.io/istio/pilot/cmd/pilot-agent
  source=$(go list -m -f '{{.Dir}}' istio.io/istio)
  cp -r --no-preserve=mode "$source/manifests/charts" charts
  cp --no-preserve=mode "$source/tools/packaging/common/envoy_bootstrap.json" .
  rm go.mod go.sum
}
recipe_argo() {         # one program, which is the part of Argo CD by whose name it is called
  local version=${VERSION[argo]}
  go_module
  go_replaces "github.com/argoproj/argo-cd/v3@$version"
  go mod edit -require "github.com/argoproj/argo-cd/v3@$version" -tool github.com/argoproj/argo-cd/v3/cmd
  go mod tidy
  go_build argocd github.com/argoproj/argo-cd/v3/cmd
  cp -r --no-preserve=mode "$(go list -m -f '{{.Dir}}' github.com/argoproj/argo-cd/v3)/manifests/crds" crds
  rm crds/kustomization.yaml go.mod go.sum
}

recipe_flux() {         # its controllers for Helm, and their kinds
  local name version
  local -A versions=([helm]=${VERSION[flux]} [source]=$FLUX_SOURCES)
  go_module
  go_replaces "github.com/fluxcd/helm-controller@${VERSION[flux]}"
  # Flux' fork of Helm is not served: Helm itself, of the same minor version, takes its place
  go mod edit -dropreplace helm.sh/helm/v4 -replace "github.com/fluxcd/pkg/artifact=github.com/fluxcd/pkg/artifact@$FLUX_ARTIFACT"
  for name in helm source; do
    go mod edit -require "github.com/fluxcd/$name-controller@${versions[$name]}" -tool "github.com/fluxcd/$name-controller"
  done
  go mod tidy -e                       # what only their tests need cannot all be had
  mkdir crds
  for name in helm source; do
    go_build "$name-controller" "github.com/fluxcd/$name-controller"
    cp --no-preserve=mode "$(go list -m -f '{{.Dir}}' "github.com/fluxcd/$name-controller")"/config/crd/bases/*.yaml crds/
  done
  rm go.mod go.sum
}

recipe_gateway_api() {  # its kinds, as they are released
  go_module
  cp -r --no-preserve=mode "$(go mod download -json "sigs.k8s.io/gateway-api@${VERSION[gateway_api]}" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')/config/crd/standard" crds
  rm go.mod crds/kustomization.yaml 2> /dev/null || true
}

recipe_peer() {         # cert-manager's controller and aws-privateca-issuer, their kinds and charts
  local place
  go_module
  cp "$ROOT/tests/bench/cert_manager/main.go" .
  go mod edit -require "github.com/cert-manager/cert-manager@${VERSION[peer]}"
  go mod tidy -e                       # what only its tests need cannot all be had
  go_build cert-manager .
  place=$(go list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)
  cp -r --no-preserve=mode "$place/deploy/crds" crds
  mkdir charts && cp -r --no-preserve=mode "$place/deploy/charts/cert-manager" charts/
  rm go.mod go.sum main.go crds/README.md
  go_module                            # of its own: it is made for another cert-manager
  go get -tool "github.com/cert-manager/aws-privateca-issuer@$PRIVATECA_ISSUER"
  go_build aws-privateca-issuer github.com/cert-manager/aws-privateca-issuer
  place=$(go list -m -f '{{.Dir}}' github.com/cert-manager/aws-privateca-issuer)
  cp --no-preserve=mode "$place"/config/crd/bases/*.yaml crds/
  cp -r --no-preserve=mode "$place/charts/aws-pca-issuer" charts/
  rm go.mod go.sum
}

# program PACKAGE NAME: out of Debian's package, which is not installed: it would start a server
program() {
  apt-get -qq download "$1" || { apt-get -qq update && apt-get -qq download "$1"; }
  dpkg-deb -x "$1"_*.deb root
  mkdir bin && mv "root/usr/bin/$2" bin/
  rm -rf root ./*.deb
}
recipe_promtool() { program prometheus promtool; }
recipe_registry() { program docker-registry docker-registry; }

# parts NAME...: these alone, and where they are
parts() {
  install_packages
  tidy_parts; check_go
  local part
  for part in "$@"; do make_part "$part"; done
  for part in "$@"; do place "$part"; echo; done
}

build() {
  install_packages
  tidy_parts
  local part
  for part in "${GO_PARTS[@]}"; do
    [[ -d $(place "$part") ]] || check_go
    make_part "$part"
  done
  make_part promtool
  make_part registry
}
