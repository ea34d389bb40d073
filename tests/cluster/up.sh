# Starts the node, and stops it. Sourced by `node`.
# shellcheck shell=bash
# The node lives in a network, a mount and a PID namespace of its own. So one kill ends every process of it, down to what runs in
# Pods, and the kernel takes back its mounts, bridges and iptables: there is no list that `down` could have missed something of.
# `unshare` and `nsenter`, not `ip netns exec`: that remounts /sys and hides the cgroups from the kubelet.

# Our processes are known by an argument that no others have: a file of pids may lie, and pids come again.
# The pattern comes by a file: as an argument, grep would find itself.
ours() { grep -slzxFf <(printf 'inside=%s\n' "$RUN") /proc/[0-9]*/cmdline | tr -dc '0-9\n' || true; }
node_pid() {     # the node's pid 1, as this machine counts; none when it is not up
  local pid
  for pid in $(ours); do awk '/^NSpid:/ {exit !(NF > 2 && $NF == 1)}' "/proc/$pid/status" 2> /dev/null && echo "$pid"; done
  true
}
on_network() { nsenter --target "$(node_pid)" --net -- "$@"; }
in_node() { nsenter --target "$(node_pid)" --net --mount --pid -- "$@"; }

# the rest, up to `inside`, runs inside
start() { local name=$1; shift; (exec "$@" > "$RUN/$name.log" 2>&1 < /dev/null) & DAEMONS[$name]=$!; }
kube() { "$TOOLS/kubectl" --kubeconfig "$RUN/kubeconfig" --request-timeout=20s "$@"; }

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

# what the kubelet, containerd and CNI write outside the folders that they are told: it is the node's, not the machine's
HIDDEN=(/var/log /var/lib/kubelet /var/lib/cni)
own_folders() {
  local folder
  for folder in "${HIDDEN[@]}"; do
    mkdir -p "$RUN/host$folder"
    mount --bind "$RUN/host$folder" "$folder"
  done
  mount -t tmpfs tmpfs /run          # sockets: their paths may have 107 characters, and a cache's path may be long
  mkdir -p /run/lock
}

network() {
  ip link set lo up
  ip link add node0 type bridge      # not every kernel has dummy links; a bridge serves
  ip addr add $NODE_IP/32 dev node0; ip link set node0 up
  ip route add 10.96.0.0/24 dev node0
  ip addr add $AGENT_IP/32 dev node0
  sysctl -qw net.ipv4.ip_forward=1   # of this namespace
}

cgroups() { find /sys/fs/cgroup -maxdepth "${1:-2}" -depth -type d -path "*/$CGROUP*"; }
own_cgroups() {
  local parent
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then          # v2: one tree
    sed 's/^/+/; s/ / +/g' /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control || true   # the kubelet says what it lacks
    mkdir -p "/sys/fs/cgroup/$CGROUP"
  else                                                         # v1: a tree for each controller
    for parent in /sys/fs/cgroup/*/; do [[ -L ${parent%/} ]] || mkdir -p "$parent$CGROUP"; done
  fi
}

control_plane() {
  # who touched which Secret, never its content: a body in a log would be a key in a log
  cat > audit.yaml <<'Y'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata      # all that a ServiceAccount of the mesh's namespace does; bodies, which hold keys, stay out
    userGroups: ["system:serviceaccounts:istio-system"]
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
 "ipam":{"type":"host-local","ranges":[[{"subnet":"10.244.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
J
  cat > containerd.toml <<T
version = 2
root = "$RUN/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$RUN/opt"               # or it makes /opt/containerd
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
  wait_for 60 containerd ctr -a /run/containerd.sock version
  local archive
  for archive in $(archives); do import "$archive"; done
}
import() { ctr -a /run/containerd.sock -n k8s.io images import "$1" > /dev/null; }

the_node() {
  cat > kubelet.yaml <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $RUN/ca.crt}}
authorization: {mode: Webhook}
address: $NODE_IP
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix:///run/containerd.sock
featureGates: {KubeletInUserNamespace: true}     # no CAP_SYS_RESOURCE here: ignore oom_score and rlimit errors
localStorageCapacityIsolation: false
evictionHard: {}
resolvConf: ""
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
syncFrequency: 10s
Y
  wait_for 60 "the default ServiceAccount" kube get serviceaccount default
  start kubelet "$KUBE/bin/kubelet" --config kubelet.yaml --kubeconfig node.kubeconfig --hostname-override node --cert-dir "$RUN/kubelet-pki" --node-ip $NODE_IP
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

inside() {       # pid 1 of the node: when it ends, all of the node ends
  cd "$RUN"
  own_folders
  network
  control_plane
  runtime
  the_node
  touch ready
  wait -n || true; all_alive || true      # for node.log: which one ended first
  wait
}

once_up() (
  mkdir -p "$RUN"; chmod 700 "$RUN"; cd "$RUN"
  # mount points that this machine lacks, for `down` to take back
  for folder in "${HIDDEN[@]}"; do [[ -d $folder ]] || { mkdir -p "$folder"; echo "$folder" >> made; }; done
  keys
  own_cgroups
  # its output goes to a file: whatever holds the pipe of `make e2e | tee` would keep it from ending
  setsid unshare --net --mount --pid --fork --kill-child=KILL --mount-proc -- "$HERE/node" inside "inside=$RUN" > node.log 2>&1 < /dev/null &
  wait_for 600 "the node" ready_or_over
  [[ -e $RUN/ready ]]
)
ready_or_over() { [[ -e $RUN/ready || -z $(jobs -r) ]]; }

up() {
  [[ -z $(node_pid) ]] || die "a node is up already, in $RUN; tests/cluster/node down takes it down"
  local part
  for part in "${GO_PARTS[@]}" "${IMAGES[@]}"; do [[ -d $(place "$part") ]] || die "$part is not built; tests/cluster/node build and images make what is missing"; done
  local try begin=$SECONDS
  for try in 1 2; do
    down
    if "$HERE/node" once-up; then say "up in $((SECONDS - begin)) s; tests/cluster/node run -- kubectl get pods -A"; return; fi
    say "could not be brought up (try $try of 2)"; logs
  done
  down
  return 1
}

# Stops all that `up` started, whatever half of it there is; leaves nothing behind, or says what. Safe to call twice.
down() {
  local pid folder
  for pid in $(ours); do kill -KILL "$pid" 2> /dev/null || true; done
  wait_for 60 "the node's processes to end" no_process || return 1
  wait_for 60 "the node's cgroups to be empty" no_cgroup || return 1
  [[ -f $RUN/made ]] && while read -r folder; do rmdir "$folder" 2> /dev/null || true; done < "$RUN/made"
  # never through a mount: what is mounted is not ours to delete
  rm -rf --one-file-system "$RUN"
}
no_process() { [[ -z $(ours) ]]; }
no_cgroup() { cgroups 9 | xargs -r rmdir 2> /dev/null; [[ -z $(cgroups) ]]; }

logs() {
  local file
  for file in "$RUN"/*.log; do
    [[ -f $file && $file != */audit.log ]] || continue
    printf '\n== %s\n' "${file##*/}"; tail -n "${LINES_OF_LOG:-25}" "$file" | cut -c1-300
  done >&2
}
