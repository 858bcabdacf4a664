package metrics

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/osirose-new/database-service/shared/app"
)

// buildInfo is 1, and its labels say what runs.
func buildInfo(revision string) prometheus.Collector {
	version := ""
	if b, ok := debug.ReadBuildInfo(); ok {
		version = b.Main.Version
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1; the labels say what was built, and with what.",
		ConstLabels: prometheus.Labels{
			"version": cmp.Or(version, "unknown"), "revision": cmp.Or(revision, app.Revision(), "unknown"), "goversion": runtime.Version(),
		},
	})
	g.Set(1)
	return g
}
