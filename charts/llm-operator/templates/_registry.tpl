{{/* host:port that pods and kubelets read artifacts from. */}}
{{- define "llm-operator.registry" -}}
{{- if .Values.registry.enabled -}}
{{ include "llm-operator.fullname" . }}-registry.{{ .Release.Namespace }}.svc:5000
{{- else -}}
{{ required "registry.enabled is false: set registry.external.url to the host:port of your registry" .Values.registry.external.url }}
{{- end }}
{{- end }}

{{/* host:port that export Jobs write artifacts to. */}}
{{- define "llm-operator.registryPush" -}}
{{- if .Values.registry.enabled -}}
{{ include "llm-operator.fullname" . }}-registry-push.{{ .Release.Namespace }}.svc:5001
{{- else -}}
{{ .Values.registry.external.pushUrl | default .Values.registry.external.url }}
{{- end }}
{{- end }}

{{- define "llm-operator.registryPlainHttp" -}}
{{- if .Values.registry.enabled }}true{{ else }}{{ .Values.registry.external.plainHttp }}{{ end }}
{{- end }}
