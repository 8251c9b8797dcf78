{{- define "trail-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "trail-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "trail-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "trail-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trail-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "trail-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: trail-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "trail-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "trail-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "trail-operator.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- /* Subjects of the operator's bindings. */}}
{{- define "trail-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "trail-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- /*
Roles and bindings that are cluster-scoped carry the namespace, as two releases of one name may exist. In the namespace
that the documentation installs into, trail-operator-system, their names are those of config/rbac, which the
documentation binds.
*/}}
{{- define "trail-operator.clusterName" -}}
{{- if eq .Release.Namespace (printf "%s-system" (include "trail-operator.fullname" .)) -}}
{{ include "trail-operator.fullname" . }}
{{- else -}}
{{ printf "%s-%s" .Release.Namespace (include "trail-operator.fullname" .) }}
{{- end }}
{{- end }}

{{- define "trail-operator.metricsScheme" -}}
{{ ternary "https" "http" .Values.metrics.secure }}
{{- end }}
