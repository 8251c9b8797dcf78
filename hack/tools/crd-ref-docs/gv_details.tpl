{{- /* The kinds first, in the order of their importance; then what they are made of, by name. */ -}}
{{- define "gvDetails" -}}
{{- $gv := . -}}
{{ $gv.Doc }}

API version: `{{ $gv.GroupVersionString }}`
{{ range list "Trail" "AWSIdentity" "EventLookup" "LogFileValidation" }}
{{- with index $gv.Types . }}
- {{ markdownRenderTypeLink . }}
{{- end }}
{{- end }}
{{- range list "Trail" "AWSIdentity" "EventLookup" "LogFileValidation" }}
{{- with index $gv.Types . }}
{{ template "type" . }}
{{- end }}
{{- end }}
{{- range $gv.SortedTypes }}
{{- if not .GVK }}
{{ template "type" . }}
{{- end }}
{{- end }}
{{- end -}}
