package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// variant is one path through the server.
type variant struct {
	name    string
	server  *process // nil: the service's
	base    string   // the variant to compare with, in addition to the constant one
	goal    float64
	prepare func(ctx context.Context, n int) error
	call    call
	slices  []slice
}

// slice is what the server used per request in one slice of the run.
type slice struct {
	micros, mallocs, bytes, misses float64
}

func runCPU(ctx context.Context, w *world, o options) (section, error) {
	o.requests = min(o.requests, withRoster)
	p, err := startServer(w, addresses{}, o.connections)
	if err != nil {
		return section{}, err
	}
	defer p.stop()
	other, err := startServer(w, addresses{}, o.connections, plainMode)
	if err != nil {
		return section{}, err
	}
	defer other.stop()
	listed := only(newVariants(w, p, other), o.variant)
	variants := slices.Clone(listed)
	if err := warmUp(ctx, w, p, variants, o); err != nil {
		return section{}, err
	}
	for round := range o.rounds {
		for _, v := range variants {
			s, err := measureSlice(ctx, cmp.Or(v.server, p), v, o)
			if err != nil {
				return section{}, fmt.Errorf("%s: %w", v.name, err)
			}
			v.slices = append(v.slices, s)
		}
		slices.Reverse(variants) // no path always follows the same one
		if round%10 == 9 {
			log.Printf("cpu: round %d of %d", round+1, o.rounds)
		}
	}
	return cpuSection(listed, o)
}

// only returns the named variant and those that it is compared with, and all if there is no such name.
func only(all []*variant, name string) []*variant {
	i := slices.IndexFunc(all, func(v *variant) bool { return v.name == name })
	if i < 0 {
		return all
	}
	wanted := []string{constantVariant, all[i].name, all[i].base}
	return slices.DeleteFunc(all, func(v *variant) bool { return !slices.Contains(wanted, v.name) })
}

// forget deletes the entries of the first n users from Redis.
func (w *world) forget(ctx context.Context, prefix string, n int) error {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = prefix + w.users[i]
	}
	return w.Redis.Client.Del(ctx, keys...).Err()
}

// warmUp fills Redis and the connection pools, and runs each path once for each user.
func warmUp(ctx context.Context, w *world, p *process, variants []*variant, o options) error {
	users, remembered := p.users(stack), getUser(w, p.users(remembering))
	err := spread(ctx, 8, withRoster, func(ctx context.Context, i int) error {
		r, err := users.GetUser(ctx, &databasev1.GetUserRequest{UserId: w.users[i]})
		if err != nil {
			return err
		}
		b, err := proto.Marshal(r.User)
		if err == nil {
			err = remembered(ctx, i)
		}
		if err != nil {
			return err
		}
		return w.Redis.Client.Set(ctx, plainPrefix+w.users[i], b, 0).Err()
	})
	if err != nil {
		return err
	}
	for _, v := range variants {
		if err := spread(ctx, o.connections, withRoster, v.call); err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
	}
	return nil
}

func measureSlice(ctx context.Context, p *process, v *variant, o options) (slice, error) {
	// The watermark may be too old after the other variants. The burst of misses that follows does not belong to this slice.
	if err := spread(ctx, o.connections, 4*o.connections, v.call); err != nil {
		return slice{}, err
	}
	if v.prepare != nil {
		if err := v.prepare(ctx, o.requests); err != nil {
			return slice{}, err
		}
	}
	before, err := p.usage(ctx)
	if err != nil {
		return slice{}, err
	}
	if err := spread(ctx, o.connections, o.requests, v.call); err != nil {
		return slice{}, err
	}
	after, err := p.usage(ctx)
	n := float64(o.requests)
	return slice{
		micros:  float64(after.CPU-before.CPU) / float64(time.Microsecond) / n,
		mallocs: float64(after.Mallocs-before.Mallocs) / n,
		bytes:   float64(after.Bytes-before.Bytes) / n,
		misses:  float64(after.Cache.Misses + after.Cache.Untrusted - before.Cache.Misses - before.Cache.Untrusted),
	}, err
}
