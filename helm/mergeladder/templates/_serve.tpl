{{/* The Ray Serve configuration. No proxy runs: every replica listens on its pod's port 8000 itself. */}}
{{- define "mergeladder.serveConfig" -}}
{{- $values := .Values -}}
{{- /* KubeRay's readiness probe looks every 5 seconds, and once is enough for it; then the service has to follow. */ -}}
{{- $args := dict "notice_seconds" 8 "ladder" (include "mergeladder.ladderPath" .) "host" "0.0.0.0" "port" 8000 "insecure" $values.auth.insecure "device" (ternary "auto" "cpu" (eq (include "mergeladder.hasGpus" .) "true")) -}}
{{- if $values.auth.keysSecret }}{{ $_ := set $args "keys" "/etc/mergeladder/keys" }}{{ end -}}
{{- if $values.auth.adminKeysSecret }}{{ $_ := set $args "admin_keys" "/etc/mergeladder/admin-keys" }}{{ end -}}
{{- if ne $values.dtype "float32" }}{{ $_ := set $args "dtype" $values.dtype }}{{ end -}}
{{- $least := 0 }}{{ $most := 0 }}{{ $perNode := 1 }}{{ $groups := dict -}}
{{- range $group := $values.groups -}}
{{- $slots := include "mergeladder.slots" $group | int -}}
{{- $least = add $least (mul $slots (include "mergeladder.minReplicas" (list $ $group) | int)) -}}
{{- $most = add $most (mul $slots (include "mergeladder.maxReplicas" (list $ $group) | int)) -}}
{{- $perNode = max $perNode $slots -}}
{{- $sizing := dict -}}
{{- with $group.budget }}{{ $_ := set $sizing "budget" . }}{{ end -}}
{{- with $group.rung }}{{ $_ := set $sizing "rung" . }}{{ end -}}
{{- if $sizing }}{{ $_ := set $groups $group.name $sizing }}{{ end -}}
{{- end -}}
{{- $actor := dict "num_cpus" (include "mergeladder.replicaCpus" . | int) -}}
{{- if include "mergeladder.hasGpus" . }}{{ $_ := set $actor "num_gpus" 1 }}{{ end -}}
{{- $user := dict "groups" $groups "floors" $values.floors -}}
{{- with $values.budget }}{{ $_ := set $user "budget" . }}{{ end -}}
{{- with $values.rung }}{{ $_ := set $user "rung" . }}{{ end -}}
{{- $deployment := dict "name" "ladder" "max_replicas_per_node" $perNode "ray_actor_options" $actor "user_config" $user -}}
{{- if $values.autoscaling.enabled -}}
{{- $_ := set $deployment "autoscaling_config" (merge (dict "min_replicas" $least "max_replicas" $most "policy" (dict "policy_function" "deploy.autoscale:by_backlog")) $values.autoscaling.config) -}}
{{- else -}}
{{- $_ := set $deployment "num_replicas" $least -}}
{{- end -}}
{{- $application := dict "name" "mergeladder" "route_prefix" nil "import_path" "deploy.app:build" "args" $args "deployments" (list $deployment) -}}
{{- toYaml (dict "proxy_location" "Disabled" "applications" (list $application)) -}}
{{- end }}
