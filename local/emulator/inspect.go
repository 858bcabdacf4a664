package emulator

import (
	"maps"
	"slices"
	"time"

	"github.com/osirose-new/database-service/local/emulator/runtime"
	"github.com/osirose-new/database-service/local/emulator/template"
)

// ProcessCounts are the numbers of a function's running processes.
type ProcessCounts = runtime.ProcessCounts

// Inspection is a snapshot of an emulator. It has no secrets of the environment and of the template's parameters. Errors and
// lines are what the functions wrote.
type Inspection struct {
	Template   string           // path
	Gateway    Gateway          // of requests that choose none
	Parameters []Value          // of the template, in the order of the file
	Routes     []Route          // in the order of the file
	Functions  []FunctionStatus // sorted by logical id
}

// Value is an environment variable or a parameter of the template.
type Value struct {
	Name   string
	Value  string // "(set)" if it is a secret
	Known  bool   // false: only a deployment knows the value
	Secret bool   // the name or the value looks like a secret, so Value does not have it
}

// Route is a route of the template. A gateway without routes has those of HTTPAPI, and HTTPAPI without routes those of RESTAPI.
type Route struct {
	Gateway  Gateway
	Method   string // "ANY" is every method
	Path     string // "/twirp/x.Service/{method}", "/{proxy+}", or "$default"
	Function string // logical id
}

// FunctionStatus is a function of the template, and what it did since the emulator started. A reload does not reset that.
type FunctionStatus struct {
	ID       string // logical id
	Name     string
	CodeURI  string // relative to the template's folder; "" if the template has none
	Timeout  time.Duration
	MemoryMB int
	// Variables are the environment variables that the template declares, with the values that a process gets, sorted by name.
	// A function in this process does not get them: it shares the program's environment.
	Variables []Value

	InProcess    bool // it runs in this process. The numbers of processes are 0, and it has no limits
	Reserved     int  // ReservedConcurrentExecutions; 0: not limited
	MaxProcesses int  // at once: the lesser of Reserved and Options.MaxProcesses
	MaxQueue     int  // synchronous invocations that may wait; more are throttled

	Processes ProcessCounts
	Waiting   int // invocations that wait for a process
	Running   int // invocations that have begun and not ended, waiting ones included

	Invocations int64 // that have ended, without throttled ones
	Failed      int64 // of Invocations, those that timed out included
	TimedOut    int64 // of Failed
	Throttled   int64
	Errors      []FunctionError // the last 5, oldest first

	// Lines are the last lines that the processes wrote, oldest first: at most 200, and at most 32 KiB.
	Lines []string
	// LinesElsewhere says that there are no Lines because the function runs in this process: it writes to the program's log.
	LinesElsewhere bool
}

// Inspect returns a snapshot. It reads each part safely, but not all parts at the same instant.
func (e *Emulator) Inspect() Inspection {
	s := e.state.Load()
	i := Inspection{Template: e.options.Template, Gateway: e.options.Gateway}
	if i.Gateway == "" {
		i.Gateway = HTTPAPI
	}
	hidden := hiddenValues(s.template.Parameters)
	for _, p := range s.template.Parameters {
		i.Parameters = append(i.Parameters, newValue(p.Name, p.Value, p.Known, hidden))
	}
	for _, r := range s.template.Routes {
		i.Routes = append(i.Routes, Route{gatewayOf[r.API], r.Method, r.Path, r.Function})
	}
	processes := e.host.CountProcesses()
	for _, f := range s.functions {
		status := e.settingsOf(f.settings, hidden)
		status.setRunner(f.runner)
		status.Processes = processes[status.ID]
		e.history.fill(&status)
		i.Functions = append(i.Functions, status)
	}
	return i
}

// settingsOf returns a status with what the template says about a function.
func (e *Emulator) settingsOf(f *template.Function, hidden []string) FunctionStatus {
	s := FunctionStatus{
		ID: f.ID, Name: f.Name, CodeURI: f.Source, Timeout: f.Timeout, MemoryMB: f.Memory, Reserved: f.Reserved,
	}
	for _, name := range slices.Sorted(maps.Keys(f.Declared)) {
		value, known := f.Variable(e.options.Environ, name)
		s.Variables = append(s.Variables, newValue(name, value, known, hidden))
	}
	return s
}

func (s *FunctionStatus) setRunner(runner runtime.Function) {
	p, ok := runner.(*runtime.Pool)
	if !ok {
		s.InProcess, s.LinesElsewhere = true, true
		return
	}
	s.MaxProcesses, s.MaxQueue, s.Waiting = p.MaxProcesses(), p.MaxQueue(), p.Waiting()
}

// fill sets what the history knows. Lambda's own lines of a function in this process are left out.
func (h *history) fill(s *FunctionStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.activity(s.ID)
	s.Running, s.Invocations, s.Failed, s.TimedOut, s.Throttled = a.running, a.invocations, a.failed, a.timedOut, a.throttled
	s.Errors = slices.Clone(a.errors)
	if !s.LinesElsewhere {
		s.Lines = slices.Clone(a.lines)
	}
}
