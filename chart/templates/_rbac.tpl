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

{{- /* What it may do in the namespace of cacerts, which may be another one: a Role and its binding.
       Arguments: root, name, account, rules and when, both as text. */}}
{{- define "istio-pca.grant" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .root.Values.config.cacerts.namespace }}
  labels: {{- include "istio-pca.labels" .root | nindent 4 }}
  {{- with .when }}{{ . | nindent 2 }}{{ end }}
rules: {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .root.Values.config.cacerts.namespace }}
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
