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
{{- $digest := .Values.image.digest }}
{{- if not (or $digest .Values.image.tag) }}
{{- $digest = index .Chart.Annotations "trail-operator.dev/image-digest" }}
{{- end }}
{{- if $digest -}}
{{ .Values.image.repository }}@{{ $digest }}
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

{{- /* The rules for compliance.reports are by hand, as the operator needs them only with that value. */}}
{{- define "trail-operator.rules.reports" -}}
{{- $reports := .Values.compliance.reports }}
{{- if ne $reports "none" }}
- apiGroups: [{{ ternary "openreports.io" "wgpolicyk8s.io" (eq $reports "openreports") }}]
  resources: [{{ ternary "reports" "policyreports" (eq $reports "openreports") }}]
  verbs: [create, get, list, update, watch]
{{- end }}
{{- end }}

{{- /* Reports on accounts. Operators that share a cluster write none. */}}
{{- define "trail-operator.rules.clusterReports" -}}
{{- $reports := .Values.compliance.reports }}
{{- if not (or (eq $reports "none") .Values.watchNamespaces .Values.watchLabelSelector) }}
- apiGroups: [{{ ternary "openreports.io" "wgpolicyk8s.io" (eq $reports "openreports") }}]
  resources: [{{ ternary "clusterreports" "clusterpolicyreports" (eq $reports "openreports") }}]
  verbs: [create, delete, get, list, update, watch]
{{- end }}
{{- end }}

{{- define "trail-operator.defaultIdentity.spec" -}}
{{- $spec := dict }}
{{- with .Values.defaultIdentity }}
{{- if eq .allowedNamespaces.from "Selector" }}
{{- $_ := set $spec "allowedNamespaces" .allowedNamespaces }}
{{- else if ne .allowedNamespaces.from "None" }}
{{- $_ := set $spec "allowedNamespaces" (pick .allowedNamespaces "from") }}
{{- end }}
{{- /* False, too, as server-side apply cannot empty an object: what is left would be null. */}}
{{- $_ := set $spec "assessCoverage" .assessCoverage }}
{{- with .eventQueueURL }}
{{- $_ := set $spec "eventQueueURL" . }}
{{- end }}
{{- end }}
{{- toYaml $spec }}
{{- end }}

{{- /* What the chart can say of the identity, as it is in the cluster. */}}
{{- define "trail-operator.defaultIdentity.liveSpec" -}}
{{- $live := lookup "trail-operator.dev/v1alpha1" "AWSIdentity" "" "default" | default dict }}
{{- pick (dig "spec" dict $live) "allowedNamespaces" "assessCoverage" "eventQueueURL" | toYaml }}
{{- end }}

{{- /* Whether the identity was created by a hook, without server-side apply. */}}
{{- define "trail-operator.defaultIdentity.keptByHelm" -}}
{{- if .Capabilities.APIVersions.Has "trail-operator.dev/v1alpha1/AWSIdentity" }}
{{- $live := lookup "trail-operator.dev/v1alpha1" "AWSIdentity" "" "default" | default dict }}
{{- $kept := hasKey (dig "metadata" "annotations" dict $live) "helm.sh/hook" }}
{{- range dig "metadata" "managedFields" list $live }}
{{- if and (eq .manager "helm") (eq .operation "Apply") }}
{{- $kept = false }}
{{- end }}
{{- end }}
{{- if $kept }}true{{ end }}
{{- end }}
{{- end }}

{{- define "trail-operator.defaultIdentity.release" -}}
kubectl annotate awsidentity default helm.sh/hook- helm.sh/hook-delete-policy-
{{- end }}
