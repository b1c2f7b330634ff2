{{- define "sceau.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end -}}

{{- define "sceau.labels" -}}
app.kubernetes.io/name: sceau
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sceau
{{- end -}}

{{/* What all pods have: no token of the cluster, no user but the image's, nothing that can be gained. */}}
{{- define "sceau.pod" -}}
automountServiceAccountToken: false
# For a Service called sceau Kubernetes would set variables under the prefix of the settings: Sceau refuses them as unknown.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "sceau.container" -}}
image: {{ include "sceau.image" . }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{- define "sceau.env" -}}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
- name: SCEAU_DATABASE_URL_FILE
  value: /run/secrets/sceau/database-url
- name: SCEAU_PSEUDONYM_KEY_FILE
  value: /run/secrets/sceau/pseudonym-key
- name: SCEAU_MASTER_KEY_FILE
  value: /run/secrets/sceau/master-key
{{- end -}}

{{/* One claim for each pod, which outlives it: the journal is needed for as long as the oldest backup. */}}
{{- define "sceau.state" -}}
- metadata:
    name: state
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .Values.state.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests: { storage: {{ .Values.state.size }} }
{{- end -}}
