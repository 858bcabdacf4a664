package main

import (
	"time"

	"github.com/osirose-new/database-service/local/console"
	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/app"
)

// programState returns what the console's page State shows. m is nil if functions serve the requests.
func programState(p *app.Program, h *health, m *metrics.Metrics) console.State {
	started := time.Now()
	s := console.State{
		Ready: func() console.Readiness {
			r := h.report()
			return console.Readiness{
				Ready: r.Ready, Database: r.Database, Schema: r.Schema, Redis: r.Redis, Callers: r.Callers, Warning: r.Warning, SchemaVersion: r.version,
			}
		},
		About: func() console.About {
			return console.About{
				Build: metrics.ReadBuild(revision), Started: started,
				Database: p.DB.Address(), Redis: redisAddress(p.Config.RedisURL), Callers: p.Callers.Count(),
			}
		},
	}
	if m != nil {
		s.Metrics = m.Snapshot
	}
	return s
}
