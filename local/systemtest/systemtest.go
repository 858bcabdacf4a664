// Package systemtest holds the tests of the whole program, all services on one edge, under concurrency and faults: schedules of
// the cache protocol, crashes at its points, what a client sees while Redis or PostgreSQL misbehave, and histories that
// are checked for consistency. It has no code but tests; scripts/bench/reliability measures times.
package systemtest
