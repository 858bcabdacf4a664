package metrics

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/osirose-new/database-service/shared/boot"
)

// buildInfo returns a gauge that is 1. Its labels name the program's version.
func buildInfo(revision string) prometheus.Collector {
	version := ""
	if b, ok := debug.ReadBuildInfo(); ok {
		version = b.Main.Version
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1. The labels name the version, the revision and the Go version of the program.",
		ConstLabels: prometheus.Labels{
			"version": cmp.Or(version, "unknown"), "revision": cmp.Or(revision, boot.Revision(), "unknown"), "goversion": runtime.Version(),
		},
	})
	g.Set(1)
	return g
}
