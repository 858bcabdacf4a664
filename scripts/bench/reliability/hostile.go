package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/childprocess"
)

const (
	othersRate    = 100 // GetUser and GetSession calls a second, each
	othersCallers = 16

	refusedShare = 0.001
	slowerBy     = 20 * time.Millisecond
	heapLimit    = 256      // MiB
	logLimit     = 100_000  // bytes a second
	hostileItems = 2000     // of each character in a hostile caller's FULL list
	niceness     = 10       // of the attackers: on this machine they take the CPU of the callers that are measured
	hostileMode  = "attack" // the argument that makes this program attack
)

// runHostile measures what a hostile caller at full effort costs others.
func runHostile(ctx context.Context, w *world) (s section, err error) {
	s.title = "Hostile callers"
	keys, file, err := w.callersFile()
	if err != nil {
		return s, err
	}
	_, err = w.DB.Exec(ctx, `UPDATE game.character SET inventory = (SELECT jsonb_build_object('capacity', 120, 'items', jsonb_agg(jsonb_build_object(
		'uid', gen_random_uuid(), 'slot', n, 'type', n % 10 + 1, 'item_id', 1000 + n, 'count', n))) FROM generate_series(1, $1) AS n)
		WHERE user_id = game.user_id($2)`, hostileItems, w.users[0])
	if err != nil {
		return s, err
	}
	s.note("Each attack runs for some seconds in a process of its own with nice %d. Meanwhile others make %d GetUser and %d GetSession calls a second. "+
		"The log is what the attack adds. With an identity: the attacker has a key in CALLERS_FILE, the others another one. Without: the attacker has none.", niceness, othersRate, othersRate)
	var rows [][]string
	for _, who := range []struct{ name, key string }{{"with an identity", keys[0]}, {"without an identity", ""}} {
		for _, a := range attacks {
			if w.attack != "" && w.attack != a.name {
				continue
			}
			row, err := w.hostile(ctx, &s, file, a, who.name, who.key, keys[1])
			if err != nil {
				return s, fmt.Errorf("%s: %w", a.name, err)
			}
			rows = append(rows, row)
		}
	}
	s.table([]string{"attack", "calls of others", "refused or failed", "p99 before, ms", "p99 during, ms", "largest heap, MiB", "log, kB/s"}, rows)
	return s, nil
}

// callersFile makes a CALLERS_FILE with two callers, and returns their keys.
func (w *world) callersFile() (keys [2]string, file string, err error) {
	text, now := "callers:\n", time.Now()
	for i := range keys {
		k := callers.NewKey()
		keys[i] = k.Text
		entry, err := callers.Entry("caller-"+strconv.Itoa(i), []string{"character", "world"}, k, now.Add(-time.Minute), now.Add(24*time.Hour))
		if err != nil {
			return keys, "", err
		}
		text += strings.TrimPrefix(entry, "callers:\n")
	}
	file = filepath.Join(w.Dir, "callers.yaml")
	return keys, file, os.WriteFile(file, []byte(text), 0o600)
}

// hostile measures one attack on a fresh process.
func (w *world) hostile(ctx context.Context, s *section, file string, a attack, who, key, othersKey string) (_ []string, err error) {
	adminPort, err := testbed.FreePort()
	if err != nil {
		return nil, err
	}
	admin := testbed.Loopback + ":" + adminPort
	p, err := w.start(ctx, "CALLERS_FILE="+file, "LOG_LEVEL=info", "ADMIN_ADDR="+admin,
		"REDIS_URL=redis://"+w.Redis.Addr, "DATABASE_URL="+w.ServiceURL(w.Postgres.Addr()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	d := time.Duration(w.count2(3, 10)) * time.Second
	_ = w.others(ctx, p, othersKey, time.Second) // fills the cache
	quiet := size(p.logFile)
	before := w.others(ctx, p, othersKey, d)
	logged, started := size(p.logFile), time.Now()
	perSecond := float64(logged-quiet) / d.Seconds() // of the others
	attacker, err := startAttack(a, strings.TrimPrefix(p.url, "http://"), w.users[0], key)
	if err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(ctx)
	var heap heapWatch
	var watch sync.WaitGroup
	watch.Go(func() { heap.run(watching, admin) })
	testbed.Pause(ctx, time.Second) // the attack gets going
	during := w.others(ctx, p, othersKey, d)
	stop()
	watch.Wait()
	rate := float64(size(p.logFile)-logged)/time.Since(started).Seconds() - perSecond
	attacker.Kill()
	_ = attacker.Wait() // it was killed
	judgeHostile(s, a.name+", "+who, before, during, heap, rate)
	return []string{
		a.name + ", " + who, strconv.Itoa(len(during)), fmt.Sprintf("%d (%s)", during.failed(), listCodes(during.codes())),
		inMS(before.quantile(0.99)), inMS(during.quantile(0.99)), fmt.Sprintf("%.0f", heap.largest), fmt.Sprintf("%.0f", rate/1000),
	}, nil
}

func judgeHostile(s *section, name string, before, during timings, heap heapWatch, rate float64) {
	share := float64(during.failed()) / float64(max(len(during), 1))
	s.add(name+": others refused", fmt.Sprintf("at most %.1f %%", 100*refusedShare), fmt.Sprintf("%.2f %%", 100*share), share <= refusedShare)
	slower := during.quantile(0.99) - before.quantile(0.99)
	s.add(name+": p99 of others", "at most "+inMS(slowerBy)+" ms more", inMS(slower)+" ms more", slower <= slowerBy)
	s.add(name+": heap in use", fmt.Sprintf("at most %d MiB", heapLimit), fmt.Sprintf("%.0f MiB, %d of %d scrapes failed", heap.largest, heap.failed, heap.scrapes),
		heap.largest <= heapLimit && heap.failed == 0)
	s.add(name+": log", fmt.Sprintf("at most %d kB/s", logLimit/1000), fmt.Sprintf("%.0f kB/s", rate/1000), rate <= logLimit)
}

// others are callers that do nothing wrong.
func (w *world) others(ctx context.Context, p *process, key string, d time.Duration) timings {
	addr := strings.TrimPrefix(p.url, "http://")
	withKey := func(r []byte) []byte {
		return bytes.Replace(r, []byte("Host: x\r\n"), []byte("Host: x\r\nAuthorization: Bearer "+key+"\r\n"), 1)
	}
	requests := make([][]byte, 0, 2*len(w.users))
	for i, user := range w.users {
		requests = append(requests,
			withKey(wireRequest("UserService", "GetUser", &databasev1.GetUserRequest{UserId: user})),
			withKey(wireRequest("SessionService", "GetSession", &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: w.tokens[i]}})))
	}
	return openLoad(ctx, addr, 2*othersRate, othersCallers, d, func(i int) []byte { return requests[i%len(requests)] })
}

// startAttack starts this program again as the attacker.
func startAttack(a attack, addr, user, key string) (*childprocess.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, hostileMode, a.name, addr, user, key)
	child, err := childprocess.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	return child, syscall.Setpriority(syscall.PRIO_PROCESS, child.PID(), niceness)
}

func size(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// heapWatch is the largest heap that the admin address has reported.
type heapWatch struct {
	largest         float64 // MiB
	scrapes, failed int
}

// run scrapes until ctx ends. Each scrape needs a new connection.
func (h *heapWatch) run(ctx context.Context, admin string) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for testbed.Pause(ctx, 250*time.Millisecond) {
		h.scrapes++
		r, err := client.Get("http://" + admin + "/metrics")
		if err != nil {
			h.failed++
			continue
		}
		text, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		_, after, found := bytes.Cut(text, []byte("\ngo_memstats_heap_inuse_bytes "))
		value, _, _ := bytes.Cut(after, []byte("\n"))
		n, err := strconv.ParseFloat(string(value), 64)
		if !found || err != nil {
			h.failed++
		}
		h.largest = max(h.largest, n/(1<<20))
	}
}
