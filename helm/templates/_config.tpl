{{- /* A trial has the embedded log, so one pod has both roles. */}}
{{- define "postern.trial" -}}
{{- if and (not .Values.existingConfig) (not (dig "log" "kafka" false .Values.config)) }}true{{ end }}
{{- end }}

{{- /* The sample runs when the values name no sources. */}}
{{- define "postern.sample" -}}
{{- if and (include "postern.trial" .) (not .Values.config.sources) }}true{{ end }}
{{- end }}

{{- /* Whether each gateway pod has a volume, for a spool or for a trial that keeps its events. */}}
{{- define "postern.stateful" -}}
{{- if or .Values.gateway.volume.enabled (hasKey (.Values.config.log | default dict) "spool") }}true{{ end }}
{{- end }}

{{- define "postern.dispatcher" -}}
{{- if and .Values.dispatcher.enabled (not (include "postern.trial" .)) }}true{{ end }}
{{- end }}

{{- /* Pods can reach the admin port, so it needs a token. */}}
{{- define "postern.admin" -}}
{{- $service := printf "%s-admin" (include "postern.fullname" .) }}
{{- $hosts := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) }}
{{- $own := .Values.config.admin | default dict }}
{{- $tokens := deepCopy ($own.tokens | default dict) }}
{{- $tokens = set $tokens "operate" (prepend ($tokens.operate | default list) "file:/etc/postern/admin/token") }}
{{- toYaml (dict "listen" "0.0.0.0:8081" "hosts" (concat $hosts ($own.hosts | default list)) "tokens" $tokens) }}
{{- end }}

{{- /* postern.yaml: the config of the values, with addresses, folders and times that the chart sets. */}}
{{- define "postern.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $data := "/var/lib/postern" }}
{{- if include "postern.sample" . }}
{{- $config = merge $config (.Files.Get "files/trial.yaml" | fromYaml) }}
{{- end }}
{{- $log := $config.log | default dict }}
{{- if include "postern.trial" . }}
{{- $log = set $log "embedded" (merge (dict "path" $data) ($log.embedded | default dict)) }}
{{- else if not (dig "dedupe" "redis" false $config) }}
{{- fail "config.log.kafka is set, so several pods may run: config.dedupe.redis is needed too" }}
{{- else if not $config.sources }}
{{- fail "config.log.kafka is set: config.sources must name at least one source" }}
{{- end }}
{{- if hasKey $log "spool" }}
{{- $log = set $log "spool" (merge (dict "path" $data) ($log.spool | default dict)) }}
{{- end }}
{{- $dedupe := $config.dedupe | default dict }}
{{- if not $dedupe.redis }}
{{- $dedupe = set $dedupe "embedded" (dict "path" $data) }}
{{- end }}
{{- $gateway := merge (dict "listen" "0.0.0.0:8080") ($config.gateway | default dict) }}
{{- $fixed := dict "gateway" $gateway "admin" (include "postern.admin" . | fromYaml) "log" $log "dedupe" $dedupe }}
{{- $fixed = merge $fixed (dict "schemas" "/etc/postern/schemas" "grace" (printf "%ds" (int .Values.shutdown.grace))) }}
{{- toYaml (merge $fixed $config) }}
{{- end }}

{{- /* Key of the ConfigMap for a schema. Names of schemas may have slashes, keys may not. */}}
{{- define "postern.schemaKey" -}}
{{- . | trimSuffix ".json" | replace "/" "__" }}.json
{{- end }}

{{- define "postern.schemas" -}}
{{- $schemas := .Values.schemas }}
{{- if and (include "postern.sample" .) (not $schemas) }}
{{- $schemas = dict "sensor-reading" (.Files.Get "files/sensor-reading.json") }}
{{- end }}
{{- toYaml $schemas }}
{{- end }}
