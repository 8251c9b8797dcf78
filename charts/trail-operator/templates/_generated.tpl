{{- /* Generated from config/rbac/role.yaml and config/crd/bases by make chart. Do not edit. */}}

{{- /* Rules for resources that are cluster-scoped, needed wherever the operator works. */}}
{{- define "trail-operator.rules.cluster" -}}
- apiGroups:
  - trail-operator.dev
  resources:
  - awsidentities
  verbs:
  - list
  - patch
  - watch
- apiGroups:
  - trail-operator.dev
  resources:
  - awsidentities/status
  verbs:
  - patch
{{- end }}

{{- /* Rules for Namespaces, needed cluster-wide only by an operator that works in all of them. */}}
{{- define "trail-operator.rules.namespaces" -}}
- apiGroups:
  - ""
  resources:
  - namespaces
  verbs:
  - get
  - list
  - watch
{{- end }}

{{- /* Rules to authenticate and authorize those who read the metrics. */}}
{{- define "trail-operator.rules.metrics" -}}
- apiGroups:
  - authentication.k8s.io
  resources:
  - tokenreviews
  verbs:
  - create
- apiGroups:
  - authorization.k8s.io
  resources:
  - subjectaccessreviews
  verbs:
  - create
{{- end }}

{{- /* Rules for resources that are namespaced. */}}
{{- define "trail-operator.rules.namespaced" -}}
- apiGroups:
  - events.k8s.io
  resources:
  - events
  verbs:
  - create
- apiGroups:
  - trail-operator.dev
  resources:
  - eventlookups/status
  - logfilevalidations/status
  verbs:
  - patch
- apiGroups:
  - trail-operator.dev
  resources:
  - eventlookups
  - logfilevalidations
  verbs:
  - delete
  - list
  - watch
- apiGroups:
  - trail-operator.dev
  resources:
  - trails
  verbs:
  - get
  - list
  - patch
  - watch
- apiGroups:
  - trail-operator.dev
  resources:
  - trails/status
  verbs:
  - update
{{- end }}

{{- /* The resources that users work with in their namespaces. */}}
{{- define "trail-operator.userResources" -}}
- eventlookups
- logfilevalidations
- trails
{{- end }}
