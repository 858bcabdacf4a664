package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// runProfile puts one variant under load for 8 s and writes profiles for pprof.
func runProfile(ctx context.Context, w *world, o options) (section, error) {
	o.variant = cmp.Or(o.variant, hitVariant)
	s := section{title: "Profiles of " + o.variant, head: []string{"profile", "file"}}
	// Each profile comes from a separate server: counting every allocation costs CPU.
	for _, of := range []struct{ path, name, env string }{
		{"profile", "cpu", "BENCH_PROFILE="},
		{"allocs", "allocs", "BENCH_PROFILE=allocs"},
	} {
		file := filepath.Join(o.dir, "bench-"+of.name+".pprof")
		if err := profileServer(ctx, w, o, of.env, of.path, file); err != nil {
			return s, err
		}
		s.row(of.name, file)
	}
	return s, nil
}

func profileServer(ctx context.Context, w *world, o options, env, path, file string) error {
	p, err := startServer(w, addresses{}, o.connections, env)
	if err != nil {
		return err
	}
	defer p.stop()
	other, err := startServer(w, addresses{}, o.connections, env, plainMode)
	if err != nil {
		return err
	}
	defer other.stop()
	variants := newVariants(w, p, other)
	i := slices.IndexFunc(variants, func(v *variant) bool { return v.name == o.variant })
	if i < 0 {
		return fmt.Errorf("unknown variant %q", o.variant)
	}
	if err := warmUp(ctx, w, p, variants[i:i+1], o); err != nil {
		return err
	}
	loadCtx, stop := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- variants[i].load(loadCtx, o.connections) }()
	err = cmp.Or(variants[i].server, p).get(ctx, "/debug/pprof/"+path+"?seconds=8", func(r io.Reader) error { return save(file, r) })
	stop()
	if loadErr := <-done; !errors.Is(loadErr, context.Canceled) {
		err = errors.Join(err, loadErr)
	}
	return err
}

// load calls until ctx ends. It prepares each slice, so that a path of misses stays one.
func (v *variant) load(ctx context.Context, connections int) (err error) {
	for err == nil {
		if v.prepare != nil {
			err = v.prepare(ctx, withRoster)
		}
		if err == nil {
			err = spread(ctx, connections, withRoster, v.call)
		}
	}
	return err
}

func save(file string, r io.Reader) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
