{{/* Numbers of a group: `include "mergeladder.minReplicas" (list $ $group)`. */}}
{{- define "mergeladder.minReplicas" -}}
{{- $root := index . 0 -}}{{- $group := index . 1 -}}
{{- if and $root.Values.autoscaling.enabled (hasKey $group "minReplicas") -}}{{ $group.minReplicas }}
{{- else -}}{{ if hasKey $group "replicas" }}{{ $group.replicas }}{{ else }}1{{ end }}{{- end -}}
{{- end }}

{{- define "mergeladder.maxReplicas" -}}
{{- $root := index . 0 -}}{{- $group := index . 1 -}}
{{- if and $root.Values.autoscaling.enabled (hasKey $group "maxReplicas") -}}{{ $group.maxReplicas }}
{{- else -}}{{ include "mergeladder.minReplicas" . }}{{- end -}}
{{- end }}

{{- define "mergeladder.gpuResource" -}}
{{- .gpuResource | default "nvidia.com/gpu" -}}
{{- end }}

{{/* Whether any group has GPUs: "true" or nothing. Then a replica takes one of Ray's GPU slots wherever it runs. */}}
{{- define "mergeladder.hasGpus" -}}
{{- range .Values.groups }}{{ if .gpus }}true{{ break }}{{ end }}{{ end -}}
{{- end }}

{{/* Replicas that a pod of the group holds: one for each GPU. */}}
{{- define "mergeladder.slots" -}}
{{- max 1 (int .gpus) -}}
{{- end }}

{{- define "mergeladder.replicaCpus" -}}
{{- if .Values.replicaCpus -}}{{ .Values.replicaCpus }}
{{- else -}}
{{- $least := 1024 -}}
{{- range .Values.groups }}{{ $least = min $least (div (int .cpu) (include "mergeladder.slots" . | int)) }}{{ end -}}
{{- max 1 $least -}}
{{- end -}}
{{- end }}

{{/* The node affinity of a group, as a list of matchExpressions: a GPU goes to the group with the largest threshold that
     it reaches, so that the thresholds leave neither gaps nor overlaps. */}}
{{- define "mergeladder.matchExpressions" -}}
{{- $root := index . 0 -}}{{- $group := index . 1 -}}
{{- $label := $root.Values.gpuMemoryLabel -}}
{{- $rules := list -}}
{{- $upper := 0 -}}
{{- $thresholds := false -}}
{{- range $other := $root.Values.groups -}}
{{- if $other.minGpuMemoryMiB -}}
{{- $thresholds = true -}}
{{- if and $group.gpus (eq (include "mergeladder.gpuResource" $other) (include "mergeladder.gpuResource" $group)) (gt (int $other.minGpuMemoryMiB) (int $group.minGpuMemoryMiB)) -}}
{{- if or (not $upper) (lt (int $other.minGpuMemoryMiB) $upper) }}{{ $upper = int $other.minGpuMemoryMiB }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $group.minGpuMemoryMiB -}}
{{- $rules = append $rules (dict "key" $label "operator" "Gt" "values" (list (sub (int $group.minGpuMemoryMiB) 1 | toString))) -}}
{{- if $upper -}}
{{- $rules = append $rules (dict "key" $label "operator" "Lt" "values" (list (toString $upper))) -}}
{{- end -}}
{{- else if and $thresholds (not $group.gpus) -}}
{{- $rules = append $rules (dict "key" $label "operator" "DoesNotExist") -}}
{{- end -}}
{{- toYaml (concat $rules ($group.nodeAffinity | default list)) -}}
{{- end }}
