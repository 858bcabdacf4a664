package app

import (
	"io"
	"runtime/debug"

	"github.com/osirose-new/database-service/shared/emf"
)

// EmbedMetrics makes each invocation write its metrics to w, if the configuration asks for it. See package emf.
func (o *Options) EmbedMetrics(w io.Writer) {
	if !o.Metrics.On {
		return
	}
	m := emf.New(emf.Options{To: w, Level: o.LogLevel, Stage: o.Metrics.Stage, Version: o.Metrics.Version, Revision: Revision()})
	t := &o.Telemetry
	t.Statement, t.Redis = m.Statement, m.Redis
	t.Started = func(p *Program) { m.Watch(p.Cache, p.DB) }
	t.AtFinish(m.Write)
}

// Revision is the commit that the program was built from, or empty if the build did not record it.
func Revision() string {
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}
