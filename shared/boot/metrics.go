package boot

import (
	"io"
	"runtime/debug"
	"strings"

	"github.com/osirose-new/database-service/shared/emf"
)

// EmbeddedMetrics says whether the invocations of functions write metrics for CloudWatch.
type EmbeddedMetrics struct {
	On      bool
	Stage   string // names the deployment; empty: there is one
	Version string // of the function, by Lambda
}

func (e *env) embeddedMetrics() EmbeddedMetrics {
	m := EmbeddedMetrics{
		On:    e.oneOf("EMBEDDED_METRICS", "false", "true") == "true",
		Stage: e.text("METRICS_STAGE", ""), Version: e.text("AWS_LAMBDA_FUNCTION_VERSION", ""),
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	if len(m.Stage) > 64 || strings.Trim(m.Stage, letters) != "" {
		e.wrong("METRICS_STAGE", "is not a name: up to 64 letters, digits, _ and -")
	}
	return m
}

// EmbedMetrics has the telemetry of c write what each invocation did to w, where c says so; see package emf.
func (c *Config) EmbedMetrics(w io.Writer) {
	if !c.Metrics.On {
		return
	}
	m := emf.New(emf.Options{To: w, Level: c.LogLevel, Stage: c.Metrics.Stage, Version: c.Metrics.Version, Revision: Revision()})
	t := &c.Telemetry
	t.Statement, t.Redis = m.Statement, m.Redis
	t.Started = func(p *Program) { m.Watch(p.Cache, p.DB) }
	t.AtFinish(m.Write)
}

// Revision is the commit that the program was built from, empty where the build did not say.
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
