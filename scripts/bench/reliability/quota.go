package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

const (
	// cpuController is where cgroup v1 has the CPU quotas of groups of processes.
	cpuController = "/sys/fs/cgroup/cpu"
	quotaPeriod   = 100 * time.Millisecond
	quotaShare    = 0.8      // of the goodput with the fewest connections
	quotaWeight   = 16 << 10 // of the group, 16 times that of another program: the quota must be what limits it
	quotaTurns    = 2        // with each number of connections, one number after the other
)

var (
	quotas           = []float64{1, 0.5, 0.25, 0.15} // CPUs
	quotaConnections = []int{8, 64, 256, 1024}
)

// runQuota gives the process little CPU, and lets more and more callers call it. The callers and both servers are outside the
// quota.
func runQuota(ctx context.Context, w *world) (s section, err error) {
	s.title = "CPU quota"
	g, err := newQuotaGroup()
	if err != nil {
		s.missed("CPU quota", "", "not measured: "+err.Error())
		return s, nil
	}
	p, err := w.startIn(ctx, g)
	if err != nil {
		return s, errors.Join(err, g.remove())
	}
	defer func() { err = errors.Join(err, p.close(), g.remove()) }()
	reads := w.cachedUsers()
	sessions := w.sessionRequests()
	s.note("The process has a CPU quota (cgroup v1, in CPUs, period %v). Each caller has one connection and sends the next call as soon as it has an answer, or about %v after a failure. "+
		"A cell is the mean of %d turns. It has the successes a second, their share of those with %d connections, their p99, and the failures.",
		quotaPeriod, refusedPause, quotaTurns, quotaConnections[0])
	for _, of := range []struct {
		name     string
		requests [][]byte
	}{{"GetUser", reads}, {"GetSession", sessions}} {
		if err := w.quotaTable(ctx, &s, p, g, of.name, of.requests); err != nil {
			return s, err
		}
	}
	return s, nil
}

// quotaTable measures one rpc.
func (w *world) quotaTable(ctx context.Context, s *section, p *process, g *quotaGroup, name string, requests [][]byte) error {
	addr := strings.TrimPrefix(p.url, "http://")
	request := func(i int) []byte { return requests[i%len(requests)] }
	step := time.Duration(w.count2(2000, 4000)) * time.Millisecond
	head := []string{name + ", quota"}
	for _, n := range quotaConnections {
		head = append(head, strconv.Itoa(n)+" connections")
	}
	var rows [][]string
	for _, quota := range quotas {
		if err := g.set(quota); err != nil {
			return err
		}
		closedLoad(ctx, addr, quotaConnections[0], step/2, request) // fills the cache
		goodputs, answers := make([]float64, len(quotaConnections)), make([]timings, len(quotaConnections))
		for range quotaTurns {
			for i, n := range quotaConnections {
				all := closedLoad(ctx, addr, n, step, request)
				goodputs[i] += all.goodput(step/2, step) / quotaTurns
				answers[i] = append(answers[i], all.between(0, step)...)
			}
		}
		row, least, late := []string{fmt.Sprintf("%.2f", quota)}, 1.0, 0
		for i, n := range quotaConnections {
			share, codes := goodputs[i]/max(goodputs[0], 1), answers[i].codes()
			if n >= 256 {
				least = min(least, share)
			}
			late += codes["unavailable"] + codes["deadline_exceeded"]
			row = append(row, fmt.Sprintf("%.0f (%.0f %%), p99 %s ms, %s", goodputs[i], 100*share, inMS(answers[i].succeeded().quantile(0.99)), listCodes(codes)))
		}
		rows = append(rows, row)
		s.add(fmt.Sprintf("%s, CPU quota %.2f: goodput with 256 and 1,024 connections", name, quota), fmt.Sprintf("at least %.0f %% of that with 8", 100*quotaShare),
			fmt.Sprintf("%.0f %%", 100*least), least >= quotaShare)
		s.add(fmt.Sprintf("%s, CPU quota %.2f: unavailable or deadline_exceeded", name, quota), "0", strconv.Itoa(late), late == 0)
	}
	s.table(head, rows)
	return g.set(0)
}

// cachedUsers are GetUser calls that the cache answers.
func (w *world) cachedUsers() (all [][]byte) {
	for _, id := range w.users[:readKeys] {
		all = append(all, wireRequest("UserService", "GetUser", &databasev1.GetUserRequest{UserId: id}))
	}
	return all
}

func (w *world) sessionRequests() (all [][]byte) {
	for _, token := range w.tokens {
		all = append(all, wireRequest("SessionService", "GetSession",
			&databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}}))
	}
	return all
}

// quotaGroup is a group of processes that share a CPU quota.
type quotaGroup struct{ dir string }

func newQuotaGroup() (*quotaGroup, error) {
	g := &quotaGroup{filepath.Join(cpuController, "reliability-"+strconv.Itoa(os.Getpid()))}
	if err := os.Mkdir(g.dir, 0o755); err != nil { // as the kernel makes the others
		return nil, errors.New("this needs cgroup v1's CPU controller, and the right to make a group in " + cpuController)
	}
	return g, errors.Join(g.write("cpu.cfs_period_us", quotaPeriod.Microseconds()), g.write("cpu.shares", quotaWeight), g.set(0))
}

// set sets the quota in CPUs. 0 is none.
func (g *quotaGroup) set(quota float64) error {
	if quota == 0 {
		return g.write("cpu.cfs_quota_us", -1)
	}
	return g.write("cpu.cfs_quota_us", int64(quota*float64(quotaPeriod.Microseconds())))
}

func (g *quotaGroup) write(file string, value int64) error {
	return os.WriteFile(filepath.Join(g.dir, file), []byte(strconv.FormatInt(value, 10)), 0o644) // the file exists
}

// remove removes the group after its processes have ended.
func (g *quotaGroup) remove() error {
	var err error
	for range 100 { // the kernel needs a moment
		if err = os.Remove(g.dir); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// startIn starts a server in the group: Go reads the quota of the group that a process starts in.
func (w *world) startIn(ctx context.Context, g *quotaGroup) (*process, error) {
	script := filepath.Join(w.Dir, "in-group")
	text := fmt.Sprintf("#!/bin/sh\necho $$ > %s/cgroup.procs && exec %s\n", g.dir, w.program.path)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil { // it is a program
		return nil, err
	}
	// Not through the proxies, whose CPU would be measured.
	return w.startProgram(ctx, &program{path: script}, "REDIS_URL=redis://"+w.Redis.Addr, "DATABASE_URL="+w.ServiceURL(w.Postgres.Addr()))
}
