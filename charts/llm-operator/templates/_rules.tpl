{{/*
What the operator may do where it serves LLMDeployments: read them and write their status, and keep the kinds of their
children. No Secrets, no pods beyond reading them, no wildcards.
*/}}
{{- define "llm-operator.rules" -}}
- apiGroups: [llm-operator.dev]
  resources: [llmdeployments]
  verbs: [get, list, watch]
- apiGroups: [llm-operator.dev]
  resources: [llmdeployments/status]
  verbs: [patch]
# Owner references that block the owner's deletion need this where the API server enforces it.
- apiGroups: [llm-operator.dev]
  resources: [llmdeployments/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [configmaps, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [controllerrevisions, deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
