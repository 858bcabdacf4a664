package postgres

import "time"

// Budgets are the time limits of one statement.
type Budgets struct {
	// Statement bounds a statement, including the wait for a connection. If the wait ended late, the statement has 100 ms all the same.
	Statement time.Duration
	// Acquire bounds the wait for a connection. It is a part of Statement.
	Acquire time.Duration
	// Queue bounds the wait of a statement while all connections are in use. A statement that waits longer is refused
	// early enough for its caller to try another server. So under overload the statements that do run have not waited
	// long, and no connection works for a caller that has given up.
	Queue time.Duration
	// UrgentQueue is the same for urgent statements. It is longer: connections are reserved for them, so they wait only
	// if the machine itself is overloaded.
	UrgentQueue time.Duration
	// Ping bounds the answer to the liveness check of an idle connection.
	Ping time.Duration
	// Connect bounds a new connection, unless the URL has connect_timeout.
	Connect time.Duration
	// Close bounds the end of a broken connection. pgx asks the server to cancel the statement and keeps reading, in a
	// goroutine, for up to 2 x 15 s; a server that hangs never answers.
	Close time.Duration
}

// DefaultBudgets fit a request of one second.
func DefaultBudgets() Budgets {
	return Budgets{
		Statement:   500 * time.Millisecond,
		Acquire:     250 * time.Millisecond,
		Queue:       100 * time.Millisecond,
		UrgentQueue: 400 * time.Millisecond,
		Ping:        100 * time.Millisecond,
		Connect:     2 * time.Second,
		Close:       500 * time.Millisecond,
	}
}

// Times returns n times the budgets.
func (b Budgets) Times(n int) Budgets {
	for _, d := range []*time.Duration{&b.Statement, &b.Acquire, &b.Queue, &b.UrgentQueue, &b.Ping, &b.Connect, &b.Close} {
		*d *= time.Duration(n)
	}
	return b
}
