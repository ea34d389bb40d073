{{- /* What the Job and the CronJob may do in the namespace of cacerts. */}}
{{- define "istio-pca.rules" -}}
# a creation cannot be allowed by name: the API server does not know the name when it decides
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [cacerts]
  # deleting is for a foreign Secret of another type, which cannot be changed
  verbs: [get, update{{ if eq .Values.config.cacerts.whenForeign "replace" }}, delete{{ end }}]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [cacerts-pending]
  verbs: [get, update, delete]
# what happened is told as an Event on cacerts
- apiGroups: [""]
  resources: [events]
  verbs: [create]
# which root the mesh trusts, before another one is put under it
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [istio-ca-root-cert]
  verbs: [get]
# which Pods of istiod must take a new one up
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
{{- end }}

{{- /* The same in the namespace of a gateway, for the certificates there. Argument: these gateways. */}}
{{- define "istio-pca.gatewayRules" -}}
{{- $names := list }}{{ $open := list }}{{ $replaced := list }}
{{- range . }}
{{- $names = append $names .secretName }}{{ $open = append $open (printf "%s-pending" .secretName) }}
{{- if eq (.whenForeign | default "refuse") "replace" }}{{ $replaced = append $replaced .secretName }}{{ end }}
{{- end -}}
- apiGroups: [""]
  resources: [secrets, events]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson $names }}
  verbs: [get, update]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson $open }}
  verbs: [get, update, delete]
{{- with $replaced }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson . }}
  verbs: [delete]
{{- end }}
{{- end }}

{{- /* What `verify` needs for them. */}}
{{- define "istio-pca.gatewayLooking" -}}
{{- $names := list }}
{{- range . }}{{ $names = append $names .secretName }}{{ end -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson $names }}
  verbs: [get]
{{- end }}

{{- /* All grants of one ServiceAccount: for cacerts, and in each namespace that has gateways. A gateway may be in the
       namespace of cacerts; its grant has a name of its own. Arguments: root, name, account, when, rules and
       gatewayRules (names of templates). */}}
{{- define "istio-pca.grants" -}}
{{- $ := .root }}{{ $given := . }}{{ $grants := list }}
{{- if $.Values.config.cacerts.enabled }}
{{- $grants = append $grants (dict "name" .name "namespace" $.Values.config.cacerts.namespace "rules" (include .rules $)) }}
{{- end }}
{{- $spaces := dict }}
{{- range $.Values.config.gateways }}
{{- $_ := set $spaces .namespace (append (get $spaces .namespace | default list) .) }}
{{- end }}
{{- range $namespace, $gateways := $spaces }}
{{- $grants = append $grants (dict "name" (printf "%s-gateways" $given.name) "namespace" $namespace "rules" (include $given.gatewayRules $gateways)) }}
{{- end }}
{{- range $number, $grant := $grants }}
{{- if $number }}
---
{{ end }}
{{- include "istio-pca.grant" (merge (dict "root" $ "account" $given.account "when" $given.when) $grant) }}
{{ end }}
{{- end }}

{{- /* A ServiceAccount in the release's namespace. Arguments: root, account, when (its annotations, as text). */}}
{{- define "istio-pca.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .account }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "istio-pca.labels" .root | nindent 4 }}
  {{- with .when }}{{ . | nindent 2 }}{{ end }}
automountServiceAccountToken: false
{{- end }}

{{- /* What it may do in another namespace: a Role and its binding.
       Arguments: root, namespace, name, account, rules and when, both as text. */}}
{{- define "istio-pca.grant" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{- include "istio-pca.labels" .root | nindent 4 }}
  {{- with .when }}{{ . | nindent 2 }}{{ end }}
rules: {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels: {{- include "istio-pca.labels" .root | nindent 4 }}
  {{- with .when }}{{ . | nindent 2 }}{{ end }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
