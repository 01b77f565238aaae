{{/* What the head's and the servers' pods have in common. */}}
{{- define "mergeladder.podSpec" -}}
serviceAccountName: {{ include "mergeladder.serviceAccount" . }}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end }}

{{- define "mergeladder.container" -}}
image: {{ include "mergeladder.image" (list .Values.image .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- toYaml .Values.securityContext | nindent 2 }}
{{- end }}

{{- define "mergeladder.env" -}}
- {name: HOME, value: /tmp}  # the image's own home cannot be written to
- {name: HF_HUB_OFFLINE, value: "1"}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Equal requests and limits: Ray takes the limits for what it has. `include "mergeladder.resources" $dict` */}}
{{- define "mergeladder.resources" -}}
requests: {{- toYaml . | nindent 2 }}
limits: {{- toYaml . | nindent 2 }}
{{- end }}

{{/* The steps before a server starts: put the ladder on the node's disk, check every hash. */}}
{{- define "mergeladder.initContainers" -}}
{{- $ladder := .Values.ladder -}}
{{- $small := include "mergeladder.resources" (dict "cpu" "500m" "memory" "1Gi") -}}
{{- if $ladder.image.repository }}
- name: copy-ladder
  image: {{ include "mergeladder.image" (list $ladder.image "latest") }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [cp, -R, {{ printf "%s/." $ladder.image.path }}, {{ include "mergeladder.ladderMount" . }}]
  securityContext: {{- toYaml .Values.securityContext | nindent 4 }}
  resources: {{- $small | nindent 4 }}
  volumeMounts:
    - {name: ladders, mountPath: {{ include "mergeladder.ladderMount" . }} }
{{- else if $ladder.objectStore.source }}
- name: fetch-ladder
  {{- include "mergeladder.container" . | nindent 2 }}
  command: [rclone, copy, --transfers=8, --config=/tmp/none, {{ $ladder.objectStore.source | quote }}, {{ include "mergeladder.ladderMount" . }}]
  env: {{- include "mergeladder.env" . | nindent 4 }}
  {{- with $ladder.objectStore.secret }}
  envFrom:
    - secretRef: {name: {{ . }}}
  {{- end }}
  resources: {{- $small | nindent 4 }}
  volumeMounts:
    - {name: ladders, mountPath: {{ include "mergeladder.ladderMount" . }} }
    - {name: tmp, mountPath: /tmp}
{{- end }}
{{- if and $ladder.verify (not $ladder.claim.name) }}
- name: verify-ladder
  {{- include "mergeladder.container" . | nindent 2 }}
  command: [mergeladder, verify, {{ include "mergeladder.ladderPath" . }}]
  env: {{- include "mergeladder.env" . | nindent 4 }}
  resources: {{- $small | nindent 4 }}
  volumeMounts:
    - {name: ladders, mountPath: {{ include "mergeladder.ladderMount" . }}, readOnly: true}
    - {name: tmp, mountPath: /tmp}
{{- end }}
{{- end }}

{{- define "mergeladder.ladderVolume" -}}
name: ladders
{{- if .Values.ladder.claim.name }}
persistentVolumeClaim: {claimName: {{ .Values.ladder.claim.name }}, readOnly: true}
{{- else }}
emptyDir: {sizeLimit: {{ .Values.ladder.sizeLimit }}}
{{- end }}
{{- end }}

{{/* Secrets as files. Not as variables, which crash reports and child processes would carry on. */}}
{{- define "mergeladder.keysVolume" -}}
name: keys
projected:
  sources:
    {{- with .Values.auth.keysSecret }}
    - secret: {name: {{ . }}, items: [{key: keys, path: keys}]}
    {{- end }}
    {{- with .Values.auth.adminKeysSecret }}
    - secret: {name: {{ . }}, items: [{key: admin-keys, path: admin-keys}]}
    {{- end }}
{{- end }}
