{{/*
What the operator may do where it serves LLMDeployments: read them and write their status, and keep the kinds of their
children. No Secrets, no pods beyond reading them and their deletion cost, no wildcards.
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
  # patch: the deletion cost, which tells a ReplicaSet which pod was drained.
  verbs: [list, watch, patch]
# What a cluster autoscaler says of a pod that finds no node.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [""]
  resources: [configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [controllerrevisions, deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch, create, patch, delete]
# Where the Gateway API is installed.
- apiGroups: [gateway.networking.k8s.io]
  resources: [grpcroutes]
  verbs: [get, list, watch, create, patch, delete]
# Another autoscaler of the same object is told of.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
