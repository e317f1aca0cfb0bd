{{/* Two listeners over one volume: what everybody may read, only export Jobs may write. */}}
{{- define "llm-operator.registryConfiguration" -}}
read.yaml: |
  version: 0.1
  log: {level: warn, accesslog: {disabled: true}}
  storage:
    filesystem: {rootdirectory: /var/lib/registry}
    maintenance:
      readonly: {enabled: true}
      uploadpurging: {enabled: false}
  http: {addr: ":5000"}
write.yaml: |
  version: 0.1
  log: {level: warn, accesslog: {disabled: true}}
  storage:
    filesystem: {rootdirectory: /var/lib/registry}
    maintenance:
      uploadpurging: {enabled: true, age: 24h, interval: 6h, dryrun: false}
  http: {addr: ":5001"}
{{- end }}
