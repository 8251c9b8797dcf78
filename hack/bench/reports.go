package main

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/trail-operator/trail-operator/hack/sandbox"
)

// installReports gives the API server the kinds of reports, if the operator is to write them.
func (f *fleet) installReports(ctx context.Context) error {
	if !f.reports {
		return nil
	}
	return sandbox.InstallCRDs(ctx, f.rest, sandbox.OpenReports, "config", "crd")
}

// untilReported waits until each trail has its report, if the operator is to write them.
func (f *fleet) untilReported(ctx context.Context) error {
	if !f.reports {
		return nil
	}
	reports := &metav1.PartialObjectMetadataList{}
	reports.SetGroupVersionKind(schema.GroupVersionKind{Group: "openreports.io", Version: "v1alpha1", Kind: "ReportList"})
	for {
		if err := f.client.List(ctx, reports, client.InNamespace(namespace)); err != nil || len(reports.Items) == f.trails {
			return err
		}
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
	}
}
