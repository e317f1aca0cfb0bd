{{/* The operator's settings: operator/llm_operator/settings.py documents each. */}}
{{- define "llm-operator.environment" -}}
- name: LLM_OPERATOR_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: LLM_OPERATOR_POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: LLM_OPERATOR_SERVICE_ACCOUNT
  valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}
- {name: LLM_OPERATOR_WATCH_NAMESPACES, value: {{ .Values.watchNamespaces | sortAlpha | join "," | quote }}}
- {name: LLM_OPERATOR_RUNTIME_IMAGE, value: {{ include "llm-operator.image" (dict "root" . "image" .Values.image.runtime) | quote }}}
- {name: LLM_OPERATOR_EXPORTER_IMAGE, value: {{ include "llm-operator.image" (dict "root" . "image" .Values.image.exporter) | quote }}}
- {name: LLM_OPERATOR_IMAGE_PULL_POLICY, value: {{ .Values.image.pullPolicy }}}
- {name: LLM_OPERATOR_REGISTRY, value: {{ include "llm-operator.registry" . | quote }}}
- {name: LLM_OPERATOR_REGISTRY_PUSH, value: {{ include "llm-operator.registryPush" . | quote }}}
- {name: LLM_OPERATOR_REGISTRY_PLAIN_HTTP, value: {{ include "llm-operator.registryPlainHttp" . | quote }}}
- {name: LLM_OPERATOR_RESYNC_SECONDS, value: {{ .Values.operator.resyncSeconds | quote }}}
- {name: LLM_OPERATOR_WORKERS, value: {{ .Values.operator.workers | quote }}}
- {name: LLM_OPERATOR_LEASE_SECONDS, value: {{ .Values.operator.leaseSeconds | quote }}}
- {name: LLM_OPERATOR_LOG_LEVEL, value: {{ .Values.operator.logLevel }}}
- {name: LLM_OPERATOR_METRICS_PORT, value: "9090"}
- {name: LLM_OPERATOR_HEALTH_PORT, value: "8080"}
- {name: LLM_OPERATOR_CONTROL_TOKEN_FILE, value: /var/run/secrets/llm-operator/control-token}
- {name: LLM_OPERATOR_ACTIVATOR_ENABLED, value: {{ .Values.activator.enabled | quote }}}
- {name: LLM_OPERATOR_XDS_ENABLED, value: {{ .Values.xds.enabled | quote }}}
- {name: LLM_OPERATOR_WATCH_NODES, value: {{ empty .Values.watchNamespaces | quote }}}
- {name: LLM_OPERATOR_HF_ENDPOINT, value: {{ .Values.huggingFace.endpoint | quote }}}
{{- end }}
