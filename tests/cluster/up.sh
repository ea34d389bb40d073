# Starts the node in a network namespace of its own. Sourced by `node`.
# shellcheck shell=bash

in_ns() { nsenter --net="/var/run/netns/$NETNS" "$@"; }   # not `ip netns exec`: it remounts /sys and hides the cgroups from the kubelet
start() {
  local name=$1; shift
  in_ns setsid "$@" > "$RUN/$name.log" 2>&1 < /dev/null & echo $! > "$RUN/$name.pid"
}
kube() { in_ns "$TOOLS/kubectl" --kubeconfig "$RUN/kubeconfig" "$@"; }

# certificate NAME SUBJECT [EXTENSION]: signed by the node's CA
certificate() {
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2> /dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 30 -extfile <(printf '%s\n' "${3:-basicConstraints=CA:FALSE}") 2> /dev/null
  rm "$1.csr"
}
kubeconfig() {   # kubeconfig FILE NAME
  cat > "$1" <<K
apiVersion: v1
kind: Config
clusters: [{name: node, cluster: {server: "https://$NODE_IP:6443", certificate-authority: $RUN/ca.crt}}]
users: [{name: $2, user: {client-certificate: $RUN/$2.crt, client-key: $RUN/$2.key}}]
contexts: [{name: node, context: {cluster: node, user: $2}}]
current-context: node
K
}

keys() {
  openssl genrsa -out sa.key 2048 2> /dev/null; openssl rsa -in sa.key -pubout -out sa.pub 2> /dev/null
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=node-ca -days 30 2> /dev/null
  certificate apiserver /CN=kube-apiserver "subjectAltName=IP:$NODE_IP,IP:10.96.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  certificate admin /O=system:masters/CN=admin
  certificate kubelet-client /O=system:masters/CN=apiserver-kubelet-client
  certificate node /O=system:nodes/CN=system:node:node
  certificate scheduler /CN=system:kube-scheduler
  certificate proxy /CN=system:kube-proxy
  kubeconfig kubeconfig admin; kubeconfig node.kubeconfig node; kubeconfig scheduler.kubeconfig scheduler; kubeconfig proxy.kubeconfig proxy
}

network() {
  ip netns add $NETNS
  in_ns ip link set lo up
  in_ns ip link add node0 type bridge                    # not every kernel has dummy links; a bridge serves
  in_ns ip addr add $NODE_IP/32 dev node0; in_ns ip link set node0 up
  in_ns ip route add 10.96.0.0/24 dev node0
  in_ns sysctl -qw net.ipv4.ip_forward=1
}

control_plane() {
  # who touched which Secret, never its content: a body in a log would be a key in a log
  cat > audit.yaml <<'Y'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    resources: [{group: "", resources: [secrets, configmaps]}]
  - level: None
Y
  start etcd "$ETCD/bin/etcd" --data-dir "$RUN/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync --log-level error
  start apiserver "$KUBE/bin/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --bind-address $NODE_IP --advertise-address $NODE_IP --secure-port 6443 \
    --tls-cert-file apiserver.crt --tls-private-key-file apiserver.key --client-ca-file ca.crt \
    --service-account-key-file sa.pub --service-account-signing-key-file sa.key --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --authorization-mode Node,RBAC --service-cluster-ip-range 10.96.0.0/24 --allow-privileged=true \
    --kubelet-client-certificate kubelet-client.crt --kubelet-client-key kubelet-client.key --kubelet-preferred-address-types InternalIP \
    --audit-policy-file audit.yaml --audit-log-path "$RUN/audit.log" --audit-log-mode blocking
  wait_for 120 "the API server" kube get --raw /readyz
  start controllers "$KUBE/bin/kube-controller-manager" --kubeconfig kubeconfig --service-account-private-key-file sa.key --use-service-account-credentials \
    --root-ca-file ca.crt --leader-elect=false
  start scheduler "$KUBE/bin/kube-scheduler" --kubeconfig scheduler.kubeconfig --leader-elect=false
}

runtime() {
  mkdir -p "$RUN/cni"
  cat > "$RUN/cni/10-node.conflist" <<'J'
{"cniVersion":"0.4.0","name":"node","plugins":[{"type":"bridge","bridge":"pods0","isGateway":true,"hairpinMode":true,
 "ipam":{"type":"host-local","dataDir":"/run/istio-pca-cni","ranges":[[{"subnet":"10.244.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
J
  cat > containerd.toml <<T
version = 2
root = "$RUN/containerd"
state = "$RUN/containerd-state"
[grpc]
  address = "$RUN/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = true    # rlimits and scores cannot be raised in a container
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$RUN/cni"
T
  start containerd containerd -c "$RUN/containerd.toml"
  wait_for 60 containerd ctr -a "$RUN/containerd.sock" version
  local archive; archives | while read -r archive; do load "$archive"; done
}
load() { ctr -a "$RUN/containerd.sock" -n k8s.io images import "$1" > /dev/null; }

node() {
  cat > kubelet.yaml <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $RUN/ca.crt}}
authorization: {mode: Webhook}
address: $NODE_IP
cgroupDriver: cgroupfs
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$RUN/containerd.sock
featureGates: {KubeletInUserNamespace: true}     # no CAP_SYS_RESOURCE here: ignore oom_score and rlimit errors
localStorageCapacityIsolation: false
evictionHard: {}
resolvConf: ""
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
syncFrequency: 10s
Y
  wait_for 60 "the default ServiceAccount" kube get serviceaccount default
  start kubelet "$KUBE/bin/kubelet" --config kubelet.yaml --kubeconfig node.kubeconfig --hostname-override node --root-dir "$RUN/kubelet" --cert-dir "$RUN/kubelet-pki" --node-ip $NODE_IP
  # conntrack's sysctls may not be written here: 0 leaves them alone
  start proxy "$KUBE/bin/kube-proxy" --kubeconfig proxy.kubeconfig --hostname-override node --cluster-cidr 10.244.0.0/24 --proxy-mode iptables \
    --conntrack-max-per-core=0 --conntrack-min=0 --conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s
  printf '.:53 {\n  bind %s\n  kubernetes cluster.local in-addr.arpa {\n    kubeconfig %s\n  }\n  errors\n}\n' $NODE_IP "$RUN/kubeconfig" > Corefile
  start coredns "$COREDNS/bin/coredns" -conf Corefile
  kube apply -f - > /dev/null <<Y
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns-node, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
endpoints: [{addresses: [$NODE_IP], conditions: {ready: true}}]
Y
  wait_for 120 "the node to register" kube get node node
  kube wait --for=condition=Ready node/node --timeout=180s > /dev/null
}

once_up() {
  mkdir -p "$RUN"; chmod 700 "$RUN"; cd "$RUN"
  keys && network && control_plane && runtime && node
}

up() {
  KUBE=$(place kube) ETCD=$(place etcd) COREDNS=$(place coredns)
  down
  local try
  for try in 1 2; do
    # in a process of its own: `set -e` does not hold inside a condition
    if "$HERE/node" once-up; then say "up; KUBECONFIG=$RUN/kubeconfig, by: tests/cluster/node run -- COMMAND"; return; fi
    say "could not be brought up (try $try of 2)"; logs; down
  done
  return 1
}

# Stops all that `up` started, whatever half of it there is; leaves nothing behind. Safe to call twice.
down() (
  set +e
  shims=$(our_shims)
  pods=$(for pid in $shims; do cat "/proc/$pid/task/$pid/children" 2> /dev/null; done)
  networks=$(pod_networks "$pods")
  for file in "$RUN"/*.pid; do [[ -f $file ]] && kill "$(cat "$file")" 2> /dev/null; done
  sleep 0.5
  # shellcheck disable=SC2046,SC2086  # lists of numbers
  kill -9 $shims $pods $(ip netns pids $NETNS 2> /dev/null) 2> /dev/null
  for network in $networks; do kill -9 $(ip netns pids "$network") 2> /dev/null; done
  sleep 0.3
  awk -v folder="$RUN/" 'index($2, folder) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l 2> /dev/null
  for network in $networks $NETNS; do ip netns del "$network" 2> /dev/null; done
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2> /dev/null
  # the shims' sockets have a place of their own; those that nobody listens on are left over
  for socket in /run/containerd/s/*; do
    [[ -S $socket ]] && ! grep -qF -- "$socket" /proc/net/unix && rm -f "$socket"
  done
  rm -rf "$RUN" /run/istio-pca-cni
  true
)
our_shims() { grep -slF -- "$RUN/containerd.sock" /proc/[0-9]*/cmdline | cut -d/ -f3 | grep -vx "$$"; }
# the namespaces that CNI made for the processes of these Pods, and for no others
pod_networks() {
  local name
  for name in $(ip netns list 2> /dev/null | awk '/^cni-/ {print $1}'); do
    for pid in $1; do
      [[ $(stat -Lc %i "/run/netns/$name") == "$(stat -Lc %i "/proc/$pid/ns/net" 2> /dev/null)" ]] && echo "$name"
    done
  done | sort -u
}

logs() {
  local file
  for file in "$RUN"/*.log; do
    [[ -f $file && $file != */audit.log ]] || continue
    printf '\n== %s\n' "${file##*/}"; tail -n "${LINES_OF_LOG:-25}" "$file" | cut -c1-300
  done >&2
}
