package operator

import (
	"errors"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/trail-operator/trail-operator/controllers/metrics"
	"github.com/trail-operator/trail-operator/controllers/report"
)

// checkReports refuses reports without a profile: there would be nothing in them.
func (o Options) checkReports() error {
	if o.reports != report.None && o.profile.Profile == nil {
		return errors.New("--reports needs a --compliance-profile")
	}
	return nil
}

// addReports adds what writes reports, if they are asked for.
func addReports(manager ctrl.Manager, events events.EventRecorder, meter *metrics.Metrics, o Options) error {
	if o.reports == report.None {
		return nil
	}
	reports, err := report.New(report.Options{
		Format:  o.reports,
		Profile: o.profile.Profile,
		// Each of several operators would write its own judgement of an account into the same report.
		Accounts:   !o.shares(),
		Namespaces: o.namespaces(),
		Recorder:   events,
		Meter:      meter,
	})
	if err != nil {
		return err
	}
	return reports.SetupWithManager(manager)
}
