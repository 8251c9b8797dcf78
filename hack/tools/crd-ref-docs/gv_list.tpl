{{- define "gvList" -}}
<!-- Generated from api by make docs. Do not edit. -->
# API reference
{{ range . }}
{{ template "gvDetails" . }}
{{- end }}
{{- end -}}
