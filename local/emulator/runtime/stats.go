package runtime

// phase is what a process does.
type phase int

const (
	phaseStarting phase = iota // it has not polled yet
	phaseIdle                  // it polls
	phaseBusy                  // it has an invocation, or has not polled since it answered
)

// ProcessCounts are the numbers of a function's running processes.
type ProcessCounts struct{ Starting, Idle, Busy int }

// CountProcesses returns the numbers by logical id. Processes of an old build count until they end.
func (h *Host) CountProcesses() map[string]ProcessCounts {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := map[string]ProcessCounts{}
	for _, p := range h.processes {
		c := counts[p.function.ID]
		p.mu.Lock()
		switch p.phase {
		case phaseStarting:
			c.Starting++
		case phaseIdle:
			c.Idle++
		case phaseBusy:
			c.Busy++
		}
		p.mu.Unlock()
		counts[p.function.ID] = c
	}
	return counts
}

// Waiting returns how many invocations wait for a process, asynchronous ones included.
func (p *Pool) Waiting() int { return int(p.waiting.Load()) }

// MaxProcesses returns how many processes p runs at most.
func (p *Pool) MaxProcesses() int { return cap(p.slots) }

// MaxQueue returns how many synchronous invocations may wait for a process. More are throttled.
func (p *Pool) MaxQueue() int { return cap(p.queue) }
