package emulator

import (
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
)

// same reports whether a process of one would be one of the other.
func (s *spec) same(other *spec) bool { return reflect.DeepEqual(s, other) }

// replace makes a new state from a template and the paths of its functions' programs. What runs then goes on to its end.
func (e *Emulator) replace(t *template, paths map[string]string) error {
	before := e.state.Load()
	after := &state{template: t, paths: paths, byName: map[string]*lambda{}}
	for _, s := range t.functions {
		f, err := e.runner(s, paths[s.id], before)
		if err != nil {
			return err
		}
		after.functions = append(after.functions, &lambda{f, s})
	}
	for _, f := range after.functions { // a logical id before a name, and that before a folder
		after.byName[f.spec.folder] = f
	}
	for _, f := range after.functions {
		after.byName[f.spec.name] = f
	}
	for _, f := range after.functions {
		after.byName[f.spec.id] = f
	}
	after.gateway = newGateway(e.gatewayConfig(t, after))
	e.state.Store(after)
	if before != nil {
		before.retire(after)
	}
	return nil
}

// retire stops what after does not have any more.
func (s *state) retire(after *state) {
	kept := map[function]bool{}
	for _, f := range after.functions {
		kept[f.function] = true
	}
	for _, f := range s.functions {
		if p, ok := f.function.(*pool); ok && !kept[p] {
			p.retire()
		}
	}
}

func (e *Emulator) gatewayConfig(t *template, s *state) gatewayConfig {
	c := gatewayConfig{
		fallback: e.options.Gateway, routes: map[Gateway][]route{}, stage: t.stage,
		binaryTypes: t.binaryTypes, responses: t.responses,
		save: func(_ Gateway, name string, event []byte) { e.save(name, event) },
	}
	for _, r := range t.routes {
		f := s.byName[r.function]
		c.routes[r.gateway] = append(c.routes[r.gateway], route{method: r.method, path: r.path, function: f, functionName: f.spec.id})
	}
	if len(c.routes[HTTPAPI]) == 0 {
		c.routes[HTTPAPI] = c.routes[RESTAPI]
	}
	return c
}

// runner is what runs s: what ran it before, if nothing has changed.
func (e *Emulator) runner(s *spec, path string, before *state) (function, error) {
	if h := e.options.Handlers[s.id]; h != nil {
		return &inProcess{e.host, s, h}, nil
	}
	if e.options.Binaries == "" && !e.options.Build {
		return nil, fmt.Errorf("%w for %s", ErrNoHandler, s.id)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := checkMachine(path, runtime.GOOS, runtime.GOARCH); err != nil {
		return nil, fmt.Errorf("the program of %s: %w", s.id, err)
	}
	if before != nil {
		if old, ok := before.byName[s.id]; ok {
			if p, ok := old.function.(*pool); ok && p.path == path && s.same(p.spec) {
				return p, nil
			}
		}
	}
	return newPool(e.host, s, path), nil
}
