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

{{- /* When an object is made, by job.mode; merged with the user's annotations into one map: two maps would silently lose
       the hook, and the user's cannot take it away. Arguments: root, job (is it the Job, or what it needs?), more. */}}
{{- define "istio-pca.when" -}}
{{- $mode := .root.Values.job.mode -}}
{{- $when := dict }}
{{- if eq $mode "hook" }}
{{- $on := .root.Values.job.hook }}
{{- $when = dict "helm.sh/hook" (printf "%s-install,%s-upgrade" $on $on) "helm.sh/hook-weight" (ternary "0" "-10" .job) "helm.sh/hook-delete-policy" (ternary "before-hook-creation" "before-hook-creation,hook-succeeded" .job) }}
{{- /* Helm's command shows why the Job failed; a Flux up to helm-controller 1.6.3 crashes by it (fluxcd/helm-controller#1562) */}}
{{- if and .job (not (.root.Capabilities.APIVersions.Has "helm.toolkit.fluxcd.io/v2")) }}{{ $_ := set $when "helm.sh/hook-output-log-policy" "hook-failed" }}{{ end }}
{{- else if eq $mode "argocd" }}
{{- $when = dict "argocd.argoproj.io/sync-wave" (ternary "-5" "-10" .job) }}
{{- if .job }}{{ $_ := set $when "argocd.argoproj.io/hook" "Sync" }}{{ $_ := set $when "argocd.argoproj.io/hook-delete-policy" "BeforeHookCreation" }}{{ end }}
{{- end }}
{{- with mergeOverwrite (dict) (.more | default dict) $when -}}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The spec of the Job, and of what the CronJob makes. Arguments: root, serviceAccountName. */}}
{{- define "istio-pca.jobSpec" -}}
backoffLimit: {{ .root.Values.job.backoffLimit }}
activeDeadlineSeconds: {{ .root.Values.job.activeDeadlineSeconds }}
ttlSecondsAfterFinished: {{ .root.Values.job.ttlSecondsAfterFinished }}
podFailurePolicy:
  rules:
    # the node went away: not our failure
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
    # bad config, refused, the authority cannot, denied for good: another Pod would fail in the same way
    - action: FailJob
      onExitCodes:
        containerName: istio-pca
        operator: In
        values: [10, 11, 12, 13]
template:
  {{- include "istio-pca.pod" (dict "root" .root "args" (list "ensure" "--output" "json") "serviceAccountName" .serviceAccountName) | trim | nindent 2 }}
{{- end }}

{{- /* Once a day, at a minute that differs between clusters and releases: a fleet must not call at once. */}}
{{- define "istio-pca.schedule" -}}
{{- $minute := mod (adler32sum (printf "%s/%s/%s" .Values.config.clusterName .Release.Namespace .Release.Name) | atoi) 1440 -}}
{{- .Values.renewal.schedule | default (printf "%d %d * * *" (mod $minute 60) (div $minute 60)) -}}
{{- end }}

{{- define "istio-pca.renewalServiceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ include "istio-pca.serviceAccountName" . }}-renewal
{{- else }}{{ include "istio-pca.serviceAccountName" . }}{{ end -}}
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
        {{- if has "ensure" .args }}
        # with a role that EKS' webhook injects too
        - name: AWS_ROLE_SESSION_NAME
          value: {{ include "istio-pca.sessionName" .root | quote }}
        {{- end }}
        {{- if $role }}
        - name: AWS_ROLE_ARN
          value: {{ $role | quote }}
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
