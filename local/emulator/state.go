package emulator

import (
	"context"
	"fmt"
	"net/http"

	"github.com/osirose-new/database-service/local/emulator/gateway"
	"github.com/osirose-new/database-service/local/emulator/runtime"
	"github.com/osirose-new/database-service/local/emulator/template"
)

// state is what a change of the template or of the sources replaces.
type state struct {
	template  *template.Template
	programs  map[string]string // paths, by logical id
	functions []*function
	byName    map[string]*function // by logical id, name and folder
	gateway   http.Handler
}

// function is a function of the template with what runs it. Use run: runner alone leaves no trace in the history.
type function struct {
	runner   runtime.Function
	settings *template.Function
	history  *history
}

// replace makes a new state. Invocations that run finish on the old one.
func (e *Emulator) replace(t *template.Template, programs map[string]string) error {
	before := e.state.Load()
	after := &state{template: t, programs: programs, byName: map[string]*function{}}
	for _, f := range t.Functions {
		runs, err := e.runnerOf(f, programs[f.ID], before)
		if err != nil {
			return err
		}
		after.functions = append(after.functions, &function{runs, f, e.history})
	}
	for _, f := range after.functions { // a logical id wins over a name, and that over a folder
		after.byName[f.settings.Folder] = f
	}
	for _, f := range after.functions {
		after.byName[f.settings.Name] = f
	}
	for _, f := range after.functions {
		after.byName[f.settings.ID] = f
	}
	after.gateway = gateway.New(e.gatewayConfig(after))
	e.state.Store(after)
	if before != nil {
		before.retire(after)
	}
	return nil
}

// retire stops the processes that after does not have any more.
func (s *state) retire(after *state) {
	kept := map[runtime.Function]bool{}
	for _, f := range after.functions {
		kept[f.runner] = true
	}
	for _, f := range s.functions {
		if p, ok := f.runner.(*runtime.Pool); ok && !kept[p] {
			p.Retire()
		}
	}
}

// gatewayOf maps the APIs of a template to gateways.
var gatewayOf = map[template.API]gateway.Kind{template.HTTPAPI: gateway.HTTPAPI, template.RESTAPI: gateway.RESTAPI}

func (e *Emulator) gatewayConfig(s *state) gateway.Config {
	c := gateway.Config{
		Default: e.options.Gateway, Routes: map[gateway.Kind][]gateway.Route{}, Stages: map[gateway.Kind]string{},
		IAM: map[gateway.Kind]bool{}, BinaryTypes: s.template.BinaryTypes, Responses: s.template.Responses,
		Save: func(_ gateway.Kind, name string, event []byte) { e.save(name, event) },
	}
	for api, name := range s.template.Stages {
		c.Stages[gatewayOf[api]] = name
	}
	for api, required := range s.template.IAM {
		c.IAM[gatewayOf[api]] = required
	}
	for _, r := range s.template.Routes {
		f, kind := s.byName[r.Function], gatewayOf[r.API]
		c.Routes[kind] = append(c.Routes[kind], gateway.Route{Method: r.Method, Path: r.Path, Function: f.serve, Name: f.settings.ID})
	}
	if len(c.Routes[gateway.HTTPAPI]) == 0 {
		c.Routes[gateway.HTTPAPI] = c.Routes[gateway.RESTAPI]
	}
	return c
}

// serve is a gateway.Function.
func (f *function) serve(ctx context.Context, kind gateway.Kind, requestID string, event []byte) gateway.Result {
	r := f.run(ctx, runtime.Invocation{RequestID: requestID, Payload: event}, string(kind))
	return gateway.Result{Payload: r.Payload, Failed: r.Failed, Throttled: r.Throttled}
}

// runnerOf returns what runs f: the runner of before, if nothing has changed.
func (e *Emulator) runnerOf(f *template.Function, program string, before *state) (runtime.Function, error) {
	if h := e.options.Handlers[f.ID]; h != nil {
		return e.host.InProcess(f, h), nil
	}
	if e.options.Binaries == "" && !e.options.Build {
		return nil, fmt.Errorf("%w for %s", ErrNoHandler, f.ID)
	}
	if before != nil && before.byName[f.ID] != nil {
		if p, ok := before.byName[f.ID].runner.(*runtime.Pool); ok && p.Serves(f, program) {
			return p, nil
		}
	}
	return e.host.Processes(f, program)
}
