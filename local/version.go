package main

import (
	"fmt"
	"io"

	"github.com/osirose-new/database-service/local/metrics"
)

// printVersion prints what database_service_build_info reports.
func printVersion(w io.Writer) error {
	b := metrics.ReadBuild(revision)
	_, err := fmt.Fprintf(w, "database-service %s\nrevision %s\n%s\n", b.Version, b.Revision, b.Go)
	return err
}
