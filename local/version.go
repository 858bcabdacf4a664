package main

import (
	"fmt"
	"io"

	"github.com/osirose-new/database-service/local/metrics"
)

// printVersion prints the values of the metric database_service_build_info.
func printVersion(w io.Writer) error {
	b := metrics.ReadBuild(revision)
	_, err := fmt.Fprintf(w, "database-service %s\nrevision %s\n%s\n", b.Version, b.Revision, b.Go)
	return err
}
