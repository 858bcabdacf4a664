// Package systemtest tests the whole program under concurrency and faults: schedules of the cache protocol, crashes at its
// points, the answers that clients get while Redis or PostgreSQL fails, and histories that are checked for linearizability. It
// contains only tests. scripts/bench/reliability measures times.
package systemtest
