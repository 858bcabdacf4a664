package metrics

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/osirose-new/database-service/shared/app"
)

// Build says what the program was built from. A part that the build did not record is "unknown".
type Build struct{ Version, Revision, Go string }

// ReadBuild reads what the Go toolchain recorded. A revision that is not empty overrides the recorded one.
func ReadBuild(revision string) Build {
	version := ""
	if b, ok := debug.ReadBuildInfo(); ok {
		version = b.Main.Version
	}
	return Build{cmp.Or(version, "unknown"), cmp.Or(revision, app.Revision(), "unknown"), runtime.Version()}
}

// buildInfo is always 1; its labels say which build runs.
func buildInfo(revision string) prometheus.Collector {
	b := ReadBuild(revision)
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1. The labels name the version, the revision and the Go version of the program.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.Go},
	})
	g.Set(1)
	return g
}
