{{- define "istio-pca.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "istio-pca" $name) }}{{ $name = printf "%s-istio-pca" $name }}{{ end -}}
{{- $name | trunc 53 | trimSuffix "-" -}}
{{- end }}

{{- define "istio-pca.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: istio-pca
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "istio-pca.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "istio-pca.name" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end -}}
{{- end }}

{{- /* The hook annotations of an object, merged with the user's into one map: two maps would silently lose the hook.
       Arguments: weight, delete, and optionally more. The user's cannot take a hook away. */}}
{{- define "istio-pca.hook" -}}
{{- $hook := dict "helm.sh/hook" "pre-install,pre-upgrade" "helm.sh/hook-weight" .weight "helm.sh/hook-delete-policy" .delete -}}
annotations: {{- mergeOverwrite (dict) (.more | default dict) $hook | toYaml | nindent 2 }}
{{- end }}

{{- define "istio-pca.image" -}}
{{- .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end }}

{{- define "istio-pca.roleArn" -}}
{{- index .Values.serviceAccount.annotations "eks.amazonaws.com/role-arn" | default "" -}}
{{- end }}

{{- /* CloudTrail shows it: which cluster, which release. At most 64 of the characters that STS takes. */}}
{{- define "istio-pca.sessionName" -}}
{{- regexReplaceAll "[^A-Za-z0-9_+=,.@-]" (printf "istio-pca-%s" (.Values.config.clusterName | default .Release.Name)) "-" | trunc 64 -}}
{{- end }}

{{- /* What no schema can say: values that must fit each other. */}}
{{- define "istio-pca.validate" -}}
{{- if not .Values.config.certificateAuthorityArn }}
{{- fail "\n\nconfig.certificateAuthorityArn is required: the ARN of the private CA that signs.\n  --set config.certificateAuthorityArn=arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID\n" }}
{{- end }}
{{- $unit := dict "s" 1 "m" 60 "h" 3600 "d" 86400 }}
{{- $text := .Values.config.retryFor }}
{{- $retry := mul (regexFind "^[0-9]+" $text) (get $unit (regexFind "[smhd]$" $text)) }}
{{- $deadline := .Values.job.activeDeadlineSeconds | int }}
{{- $installer := .Values.job.installerTimeoutSeconds | int }}
{{- $waits := index (list 0 10 30 70) (.Values.job.backoffLimit | int) }}
{{- if gt (add $retry 30 | int) $deadline }}
{{- fail (printf "\n\nconfig.retryFor (%s) must be at least 30 seconds shorter than job.activeDeadlineSeconds (%d): the Job would be ended before it can say why it failed.\n" $text $deadline) }}
{{- end }}
{{- if ge $deadline $installer }}
{{- fail (printf "\n\njob.activeDeadlineSeconds (%d) must be shorter than job.installerTimeoutSeconds (%d): Helm would give up before the Job says why it failed.\n  Raise both: --set job.installerTimeoutSeconds=N and --timeout Ns\n" $deadline $installer) }}
{{- end }}
{{- if ge $waits $deadline }}
{{- fail (printf "\n\njob.backoffLimit (%d) does not fit into job.activeDeadlineSeconds (%d): the waits between the Pods alone are %d seconds.\n" (.Values.job.backoffLimit | int) $deadline $waits) }}
{{- end }}
{{- end }}

{{- /* The Pod of the Job and of the test. Arguments: root, args, serviceAccountName. */}}
{{- define "istio-pca.pod" -}}
{{- $values := .root.Values }}
{{- $role := "" }}
{{- /* only who issues needs AWS */}}
{{- if has "ensure" .args }}{{ $role = include "istio-pca.roleArn" .root }}{{ end -}}
metadata:
  labels:
    {{- include "istio-pca.labels" .root | nindent 4 }}
    # a sidecar would keep the Job from ending; the label, since the webhook selects by it
    sidecar.istio.io/inject: "false"
    istio.io/dataplane-mode: none
    {{- with $values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    sidecar.istio.io/inject: "false"
    {{- with $values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  restartPolicy: Never
  serviceAccountName: {{ .serviceAccountName }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: istio-pca
      image: {{ include "istio-pca.image" .root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: {{ .args | toJson }}
      terminationMessagePolicy: FallbackToLogsOnError
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources: {{- toYaml $values.resources | nindent 8 }}
      env:
        - name: ISTIO_PCA_CONFIG
          value: {{ $values.config | toJson | quote }}
        # without credentials of its own, the Job would otherwise act as the node
        - name: AWS_EC2_METADATA_DISABLED
          value: "true"
        {{- if $role }}
        - name: AWS_ROLE_ARN
          value: {{ $role | quote }}
        - name: AWS_ROLE_SESSION_NAME
          value: {{ include "istio-pca.sessionName" .root | quote }}
        - name: AWS_WEB_IDENTITY_TOKEN_FILE
          value: /var/run/secrets/eks.amazonaws.com/serviceaccount/token
        {{- end }}
        {{- with $values.extraEnv }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- if or $role $values.extraVolumeMounts }}
      volumeMounts:
        {{- if $role }}
        - name: aws-iam-token
          mountPath: /var/run/secrets/eks.amazonaws.com/serviceaccount
          readOnly: true
        {{- end }}
        {{- with $values.extraVolumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- end }}
  {{- if or $role $values.extraVolumes }}
  volumes:
    {{- if $role }}
    # named as EKS' identity webhook names it, which then leaves the Pod alone
    - name: aws-iam-token
      projected:
        defaultMode: 0440
        sources:
          - serviceAccountToken:
              audience: sts.amazonaws.com
              expirationSeconds: 86400
              path: token
    {{- end }}
    {{- with $values.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- end }}
  {{- with $values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.dnsPolicy }}
  dnsPolicy: {{ . }}
  {{- end }}
{{- end }}
