{{- /*
Pod template of a role. Needs: root, component, part (its values), args (of the program),
preStop (seconds between the pod's end and the signal).
*/}}
{{- define "postern.pod" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
{{- $stateful := and (eq .component "gateway") (include "postern.stateful" $root) }}
metadata:
  labels:
    {{- include "postern.selector" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with .part.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A change of the config or of a schema replaces the pods.
    {{- if not $values.existingConfig }}
    checksum/config: {{ include "postern.config" $root | sha256sum }}
    {{- end }}
    {{- if not $values.existingSchemas }}
    checksum/schemas: {{ include "postern.schemas" $root | sha256sum }}
    {{- end }}
    kubectl.kubernetes.io/default-container: postern
    {{- with .part.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "postern.serviceAccount" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  # The sleep before the signal, the grace of the process (its drain is part of it), and a margin.
  terminationGracePeriodSeconds: {{ add .preStop $values.shutdown.grace 5 }}
  securityContext:
    runAsNonRoot: true
    {{- with $values.podSecurity }}
    {{- if not (kindIs "invalid" .runAsUser) }}
    runAsUser: {{ .runAsUser }}
    {{- end }}
    {{- if not (kindIs "invalid" .runAsGroup) }}
    runAsGroup: {{ .runAsGroup }}
    {{- end }}
    {{- if not (kindIs "invalid" .fsGroup) }}
    fsGroup: {{ .fsGroup }}
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: postern
      image: {{ include "postern.image" $root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: {{- toJson .args | nindent 8 }}
      {{- with $values.env }}
      env: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.envFrom }}
      envFrom: {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- if eq .component "gateway" }}
        - name: http
          containerPort: 8080
        {{- end }}
        - name: admin
          containerPort: 8081
      # The process runs. Kafka and Redis may be down.
      startupProbe:
        httpGet: { path: /livez, port: admin }
        periodSeconds: 1
        timeoutSeconds: 2
        failureThreshold: 60
      # The process can take events, or read and deliver them.
      readinessProbe:
        httpGet: { path: /readyz, port: admin }
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      # The event loop runs. Nothing else is a reason for a restart.
      livenessProbe:
        httpGet: { path: /livez, port: admin }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- if gt (int .preStop) 0 }}
      lifecycle:
        preStop:
          sleep: { seconds: {{ .preStop }} }
      {{- end }}
      {{- with .part.resources }}
      resources: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        privileged: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - { name: config, mountPath: /etc/postern/config, readOnly: true }
        - { name: admin-token, mountPath: /etc/postern/admin, readOnly: true }
        - { name: schemas, mountPath: /etc/postern/schemas, readOnly: true }
        {{- if or $stateful (include "postern.trial" $root) }}
        - { name: data, mountPath: /var/lib/postern }
        {{- end }}
        {{- range $values.secretFiles }}
        - { name: {{ printf "secret-%s" . | trunc 63 | trimSuffix "-" }}, mountPath: {{ printf "/etc/postern/secrets/%s" . }}, readOnly: true }
        {{- end }}
  volumes:
    - name: config
      {{- with $values.existingConfig }}
      # One of them exists. Without both, the process reports an error and ends.
      projected:
        sources:
          - secret: { name: {{ . }}, optional: true }
          - configMap: { name: {{ . }}, optional: true }
      {{- else }}
      secret:
        secretName: {{ include "postern.fullname" $root }}-config
      {{- end }}
    - name: admin-token
      secret:
        secretName: {{ $values.adminToken.existingSecret | default (printf "%s-admin" (include "postern.fullname" $root)) }}
        items: [{ key: {{ ternary $values.adminToken.key "token" (ne $values.adminToken.existingSecret "") }}, path: token }]
    - name: schemas
      configMap:
        name: {{ $values.existingSchemas | default (printf "%s-schemas" (include "postern.fullname" $root)) }}
        {{- if not $values.existingSchemas }}
        {{- with include "postern.schemas" $root | fromYaml }}
        items:
          {{- range $name, $schema := . }}
          - { key: {{ include "postern.schemaKey" $name }}, path: {{ $name | trimSuffix ".json" }}.json }
          {{- end }}
        {{- end }}
        {{- end }}
    {{- if and (include "postern.trial" $root) (not $stateful) }}
    - name: data
      emptyDir: {}
    {{- end }}
    {{- range $values.secretFiles }}
    - name: {{ printf "secret-%s" . | trunc 63 | trimSuffix "-" }}
      secret: { secretName: {{ . }} }
    {{- end }}
  {{- if .part.topologySpread }}
  topologySpreadConstraints:
    {{- range tuple "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $.part.topologySpread }}
      labelSelector:
        matchLabels:
          {{- include "postern.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $.component }}
      matchLabelKeys: [{{ if $stateful }}controller-revision-hash{{ else }}pod-template-hash{{ end }}]
    {{- end }}
  {{- end }}
  {{- range $key := tuple "nodeSelector" "affinity" "tolerations" "priorityClassName" }}
  {{- with index $.part $key }}
  {{ $key }}: {{- if kindIs "string" . }} {{ . }}{{ else }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- end }}
  {{- end }}
{{- end }}
