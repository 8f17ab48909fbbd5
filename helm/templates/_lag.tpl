{{- /* KEDA's triggers: one for each topic that a consumer group reads. Empty when the chart does not know them. */}}
{{- define "postern.lagTriggers" -}}
{{- $lag := .Values.dispatcher.autoscaling.lag }}
{{- $brokers := $lag.bootstrapServers | default (join "," (dig "log" "kafka" "brokers" list .Values.config)) }}
{{- $readers := list }}
{{- range $name, $one := .Values.config.subscriptions }}
{{- $group := $one.group | default (printf "postern.%s" $name) }}
{{- $readers = append $readers (dict "group" $group "from" ($one.from | default "earliest") "topics" (append $one.topics ($one.redrive | default (printf "%s.redrive" $name)))) }}
{{- end }}
{{- range $name, $one := .Values.config.streams }}
{{- $group := $one.group | default (printf "postern.stream.%s" $name) }}
{{- $from := $one.from | default "earliest" }}
{{- if or $one.key (gt (len $one.topics) 1) }}
{{- /* Events are first written again under the stream's key. */}}
{{- $readers = append $readers (dict "group" (printf "%s.repartition" $group) "from" $from "topics" $one.topics) }}
{{- $readers = append $readers (dict "group" $group "from" "earliest" "topics" (list (printf "%s.by-key" $name))) }}
{{- else }}
{{- $readers = append $readers (dict "group" $group "from" $from "topics" $one.topics) }}
{{- end }}
{{- end }}
{{- range $name, $one := .Values.config.workflows }}
{{- $topics := $one.on.topics }}
{{- range $step := $one.steps }}
{{- $topics = concat $topics (dig "waitFor" "topics" list $step) }}
{{- end }}
{{- $readers = append $readers (dict "group" (printf "postern.workflow.%s.in" $name) "from" "earliest" "topics" (uniq $topics)) }}
{{- end }}
{{- range $reader := $readers }}
{{- range $topic := $reader.topics }}
- type: kafka
  metadata:
    bootstrapServers: {{ $brokers | quote }}
    consumerGroup: {{ $reader.group | quote }}
    topic: {{ $topic | quote }}
    lagThreshold: {{ $lag.threshold | quote }}
    # Without a committed position the lag is counted from where the group begins.
    offsetResetPolicy: {{ $reader.from }}
    scaleToZeroOnInvalidOffset: "false"
  {{- with $lag.authenticationRef }}
  authenticationRef:
    name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}
{{- with $lag.triggers }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "postern.keda" -}}
{{- if and .Values.dispatcher.autoscaling.lag.enabled (.Capabilities.APIVersions.Has "keda.sh/v1alpha1") (include "postern.lagTriggers" . | trim) }}true{{ end }}
{{- end }}
