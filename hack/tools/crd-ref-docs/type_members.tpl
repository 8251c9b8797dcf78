{{- define "type_members" -}}
{{- if eq .Name "metadata" -}}
Kubernetes' own metadata.
{{- else -}}
{{ markdownRenderFieldDoc .Doc }}
{{- end -}}
{{- end -}}
