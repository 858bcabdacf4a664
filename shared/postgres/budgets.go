package postgres

import "time"

// Budgets bound what one statement waits for.
type Budgets struct {
	// Statement is the time of a statement, its connection included.
	Statement time.Duration
	// Acquire is the part of it in which there must be a connection.
	Acquire time.Duration
	// Queue is how long a statement waits for one of the pool's connections that are all in use. A statement that waits longer
	// is refused while its caller can still go elsewhere. Under overload the statements that are served have then waited
	// little, and no connection works for a caller that has left.
	Queue time.Duration
	// UrgentQueue is longer: urgent statements have the reserve, so they wait only if the machine itself is overloaded.
	UrgentQueue time.Duration
	// Ping is how long an idle connection may take to show that it lives.
	Ping time.Duration
	// Connect is the time of a new connection, unless the URL says connect_timeout.
	Connect time.Duration
	// Close is how long a broken connection may take to end. pgx asks the server to cancel what ran there and reads on, in
	// a goroutine of up to 15 s twice; a server that hangs never answers it.
	Close time.Duration
}

// DefaultBudgets fit a request of one second.
func DefaultBudgets() Budgets {
	return Budgets{
		Statement:   500 * time.Millisecond,
		Acquire:     250 * time.Millisecond,
		Queue:       100 * time.Millisecond,
		UrgentQueue: 250 * time.Millisecond,
		Ping:        100 * time.Millisecond,
		Connect:     2 * time.Second,
		Close:       500 * time.Millisecond,
	}
}

// Times returns budgets that are n times as long.
func (b Budgets) Times(n int) Budgets {
	for _, d := range []*time.Duration{&b.Statement, &b.Acquire, &b.Queue, &b.UrgentQueue, &b.Ping, &b.Connect, &b.Close} {
		*d *= time.Duration(n)
	}
	return b
}
