{{- define "mergeladder.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name -}}
{{- end }}

{{/* Labels of our own objects. Pods must not carry them: a chart's new version would make new pods, and KubeRay's
     service for the head finds it by an `app.kubernetes.io/name` of its own. */}}
{{- define "mergeladder.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What selects the pods of this release: `include "mergeladder.podLabels" (list $ "server")`. */}}
{{- define "mergeladder.podLabels" -}}
mergeladder.io/release: {{ include "mergeladder.fullname" (index . 0) }}
mergeladder.io/role: {{ index . 1 }}
{{- end }}

{{- define "mergeladder.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "mergeladder.fullname" .) -}}
{{- end }}

{{/* `include "mergeladder.image" (list .Values.image $default)` */}}
{{- define "mergeladder.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 1) }}
{{- end -}}
{{- end }}

{{/* Where the volume with the ladder is mounted. The last folder of a ladder's path is the name that answers give. */}}
{{- define "mergeladder.ladderMount" -}}
{{- if .Values.ladder.claim.name }}/ladders{{ else }}/ladders/{{ include "mergeladder.fullname" . }}{{ end -}}
{{- end }}

{{- define "mergeladder.ladderPath" -}}
{{ include "mergeladder.ladderMount" . }}{{ with .Values.ladder.claim.path }}/{{ . }}{{ end -}}
{{- end }}
