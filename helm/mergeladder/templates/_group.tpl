{{/* One worker group: `include "mergeladder.workerGroup" (list $ $group)`. */}}
{{- define "mergeladder.workerGroup" -}}
{{- $root := index . 0 -}}{{- $group := index . 1 -}}
{{- $resources := dict "cpu" $group.cpu "memory" $group.memory -}}
{{- if $group.gpus }}{{ $_ := set $resources (include "mergeladder.gpuResource" $group) $group.gpus }}{{ end -}}
groupName: {{ $group.name }}
replicas: {{ include "mergeladder.minReplicas" . }}
minReplicas: {{ include "mergeladder.minReplicas" . }}
maxReplicas: {{ include "mergeladder.maxReplicas" . }}
labels:  # Ray's labels of the node, by which a replica knows its group
  mergeladder.io/group: {{ $group.name }}
{{- if include "mergeladder.hasGpus" $root }}
resources:  # GPU slots: KubeRay does not know every MIG slice's name, and a CPU node has a slot for its replica
  GPU: {{ include "mergeladder.slots" $group | quote }}
{{- end }}
rayStartParams:
  object-store-memory: "134217728"  # we do not use it, and memory is for rungs
template:
  metadata:
    labels:
      {{- include "mergeladder.podLabels" (list $root "server") | nindent 6 }}
      mergeladder.io/group: {{ $group.name }}
  spec:
    {{- include "mergeladder.podSpec" $root | nindent 4 }}
    automountServiceAccountToken: false
    terminationGracePeriodSeconds: {{ add $root.Values.drainSeconds 15 }}
    {{- with $group.runtimeClassName }}
    runtimeClassName: {{ . }}
    {{- end }}
    {{- with $group.nodeSelector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $group.tolerations }}
    tolerations: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with include "mergeladder.matchExpressions" . | fromYamlArray }}
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
            - matchExpressions: {{- toYaml . | nindent 16 }}
    {{- end }}
    {{- with include "mergeladder.initContainers" $root | trim }}
    initContainers: {{- . | nindent 6 }}
    {{- end }}
    containers:
      - name: server
        {{- include "mergeladder.container" $root | nindent 8 }}
        env: {{- include "mergeladder.env" $root | nindent 10 }}
        ports:
          - {name: serve, containerPort: 8000}
          - {name: metrics, containerPort: 8080}
        resources: {{- include "mergeladder.resources" $resources | nindent 10 }}
        lifecycle:
          preStop:  # Kubernetes takes the pod out of the Service, but tells Ray nothing
            exec:
              command: [python, -m, deploy.drain, {{ $root.Values.drainSeconds | quote }}]
        volumeMounts:
          - {name: ladders, mountPath: {{ include "mergeladder.ladderMount" $root }}, readOnly: true}
          - {name: tmp, mountPath: /tmp}
          {{- if or $root.Values.auth.keysSecret $root.Values.auth.adminKeysSecret }}
          - {name: keys, mountPath: /etc/mergeladder, readOnly: true}
          {{- end }}
          {{- with $root.Values.extraVolumeMounts }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
    volumes:
      - {{ include "mergeladder.ladderVolume" $root | indent 8 | trim }}
      - name: tmp
        emptyDir: {}
      {{- if or $root.Values.auth.keysSecret $root.Values.auth.adminKeysSecret }}
      - {{ include "mergeladder.keysVolume" $root | indent 8 | trim }}
      {{- end }}
      {{- with $root.Values.extraVolumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- end }}
