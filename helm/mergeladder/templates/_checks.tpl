{{/* What values.schema.json cannot say. */}}
{{- define "mergeladder.check" -}}
{{- $ladder := .Values.ladder -}}
{{- $sources := list $ladder.claim.name $ladder.image.repository $ladder.objectStore.source | compact -}}
{{- if ne (len $sources) 1 -}}
{{- fail (printf "%d sources of the ladder are set: set exactly one of ladder.claim.name, ladder.image.repository and ladder.objectStore.source" (len $sources)) -}}
{{- end -}}
{{- if and $ladder.claim.path (not $ladder.claim.name) -}}
{{- fail "ladder.claim.path is set without ladder.claim.name" -}}
{{- end -}}
{{- if and (not .Values.auth.keysSecret) (not .Values.auth.insecure) -}}
{{- fail "anyone who can reach a pod could ask it: name a Secret of keys in auth.keysSecret, or set auth.insecure" -}}
{{- end -}}
{{- if and .Values.budget .Values.rung -}}
{{- fail "budget and rung are both set: a budget chooses the rung, so leave one of them out" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$" (include "mergeladder.fullname" .)) -}}
{{- fail (printf "the name %q will not do: 40 lower-case letters, digits and hyphens at most, a letter first; set fullnameOverride" (include "mergeladder.fullname" .)) -}}
{{- end -}}
{{- if and (eq .Values.dtype "int8") (include "mergeladder.hasGpus" .) -}}
{{- fail "dtype int8 computes on CPUs alone: give the groups with GPUs a release of their own" -}}
{{- end -}}
{{- range .Values.groups }}{{ include "mergeladder.checkGroup" (list $ .) }}{{ end -}}
{{- $names := list -}}
{{- range .Values.groups -}}
{{- if has .name $names }}{{ fail (printf "two groups are named %s" .name) }}{{ end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end }}

{{- define "mergeladder.checkGroup" -}}
{{- $root := index . 0 -}}{{- $group := index . 1 -}}
{{- $name := $group.name -}}
{{- if and $group.budget $group.rung -}}
{{- fail (printf "group %s: budget and rung are both set: leave one of them out" $name) -}}
{{- end -}}
{{- if gt (include "mergeladder.minReplicas" (list $root $group) | int) (include "mergeladder.maxReplicas" (list $root $group) | int) -}}
{{- fail (printf "group %s: minReplicas is larger than maxReplicas" $name) -}}
{{- end -}}
{{- if and (not $root.Values.autoscaling.enabled) (or (hasKey $group "minReplicas") (hasKey $group "maxReplicas")) -}}
{{- fail (printf "group %s: minReplicas and maxReplicas mean nothing without autoscaling.enabled: set replicas" $name) -}}
{{- end -}}
{{- if lt (int $group.cpu) (mul (include "mergeladder.replicaCpus" $root | int) (max 1 (int $group.gpus)) | int) -}}
{{- fail (printf "group %s: %d CPUs are too few for its replicas, which take replicaCpus=%s each" $name (int $group.cpu) (include "mergeladder.replicaCpus" $root)) -}}
{{- end -}}
{{- if and $group.minGpuMemoryMiB (not $group.gpus) -}}
{{- fail (printf "group %s: minGpuMemoryMiB is set without gpus" $name) -}}
{{- end -}}
{{- if $group.gpus -}}
{{- range $other := $root.Values.groups -}}
{{- if and (ne $other.name $name) $other.gpus (eq (include "mergeladder.gpuResource" $other) (include "mergeladder.gpuResource" $group)) -}}
{{- if eq (int $other.minGpuMemoryMiB) (int $group.minGpuMemoryMiB) -}}
{{- fail (printf "groups %s and %s: the same GPUs (%s) would do for both: give each another minGpuMemoryMiB" $name $other.name (include "mergeladder.gpuResource" $group)) -}}
{{- end -}}
{{- if not $group.minGpuMemoryMiB -}}
{{- fail (printf "group %s: minGpuMemoryMiB is missing, which group %s of the same GPUs has" $name $other.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
