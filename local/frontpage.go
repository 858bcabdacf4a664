package main

import (
	"net/http"

	"github.com/osirose-new/database-service/local/console"
	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/config"
)

// frontPage tells a person who opens the port in a browser what answers there.
func frontPage(c config.Config) (http.Handler, error) {
	b := metrics.ReadBuild(revision)
	f := console.Front{Version: b.Version, Revision: b.Revision}
	if c.Admin != "" {
		f.Admin = adminURL(c)
	}
	return f.Handler()
}

// adminURL returns the URL of the admin address for a client on this machine.
func adminURL(c config.Config) string { return baseURL(config.Config{Listen: c.Admin}) }
