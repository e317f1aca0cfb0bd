{{/* Selects the namespaces that are served. */}}
{{- define "llm-operator.servedNamespaces" -}}
{{- if .Values.watchNamespaces -}}
matchExpressions:
  - {key: kubernetes.io/metadata.name, operator: In, values: {{ .Values.watchNamespaces | sortAlpha | toJson }}}
{{- else -}}
{}
{{- end }}
{{- end }}
