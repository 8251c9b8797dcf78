{{- define "type" -}}
{{- $type := . -}}
{{- if markdownShouldRenderType $type }}
{{ if $type.GVK }}##{{ else }}###{{ end }} {{ $type.Name }}
{{ if $type.IsAlias }}
Underlying type: {{ markdownRenderTypeLink $type.UnderlyingType }}
{{ end }}
{{ $type.Doc }}
{{- with $type.References }}

Appears in:
{{- range $i, $reference := $type.SortedReferences }}{{ if $i }},{{ end }} {{ markdownRenderTypeLink $reference }}{{ end }}
{{- end }}
{{- with index $type.Markers "kubebuilder:validation:XValidation" }}

Rules:
{{ range . }}
- {{ .Message }}
{{- end }}
{{- end }}
{{- with $type.Members }}

| Field | Description | Default | Validation |
| --- | --- | --- | --- |
{{- if $type.GVK }}
| `apiVersion` _string_ | `{{ $type.GVK.Group }}/{{ $type.GVK.Version }}` | | |
| `kind` _string_ | `{{ $type.GVK.Kind }}` | | |
{{- end }}
{{- range . }}
| `{{ .Name }}` _{{ markdownRenderType .Type }}_ | {{ template "type_members" . }} | {{ markdownRenderDefault .Default }} | {{ template "validation" . }} |
{{- end }}
{{- end }}
{{- with $type.EnumValues }}

| Value | Description |
| --- | --- |
{{- range . }}
| `{{ .Name }}` | {{ markdownRenderFieldDoc .Doc | trimSuffix "<br />" }} |
{{- end }}
{{- end }}
{{ end -}}
{{- end -}}

{{- /* A field is optional unless it says otherwise; of a CEL rule, what it tells a person is shown. */ -}}
{{- define "validation" -}}
{{- $all := list -}}
{{- range .Validation -}}
{{- if hasPrefix "Required" . -}}
{{- $all = prepend $all "required" -}}
{{- else if not (hasPrefix "Optional" .) -}}
{{- $all = append $all (markdownRenderFieldDoc .) -}}
{{- end -}}
{{- end -}}
{{- range index .Markers "kubebuilder:validation:XValidation" -}}
{{- $all = append $all (markdownRenderFieldDoc .Message) -}}
{{- end -}}
{{- join "<br />" $all -}}
{{- end -}}
