package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const (
	readRate    = 800 // a second: about a third of what two cores can do with server, load, proxies and databases on them
	readCallers = 64  // more than are busy at a time, except when Redis starts to hang, so requests do not wait for a free caller
	readKeys    = 150 // users, and as many characters and lists

	worstMore = 60 * time.Millisecond
	p99More   = 2 * time.Millisecond
	settled   = time.Second            // after the start or end of a fault
	underWay  = 200 * time.Millisecond // a request that was due this shortly before a fault may be affected by it
)

// redisTrouble is a fault of Redis.
type redisTrouble struct {
	name, title string
	begin, end  func(ctx context.Context, r *testbed.Redis) error
}

func redisTroubles() []redisTrouble {
	return []redisTrouble{
		{"killed", "Redis killed, and restarted empty", func(_ context.Context, r *testbed.Redis) error {
			return r.Kill()
		}, func(ctx context.Context, r *testbed.Redis) error { return r.Launch(ctx) }},
		{"hung", "Redis hung: stopped by a signal, and continued", func(_ context.Context, r *testbed.Redis) error {
			return r.Signal(syscall.SIGSTOP)
		}, func(_ context.Context, r *testbed.Redis) error { return r.Signal(syscall.SIGCONT) }},
	}
}

func runRedisFaults(ctx context.Context, w *world) (section, error) {
	s := section{title: "Redis killed or hung under load"}
	p, err1 := w.start(ctx)
	without, err2 := w.start(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return s, err
	}
	without.redis.Refuse()
	s.note("%d reads a second of users, characters and lists, %d of each, by %d callers. Latency counts from when a read was due. "+
		"The base is the phase just before the fault, in which all reads are cache hits. The first row shows the same reads in a "+
		"process without Redis, because that is what a process does soon after the fault.",
		readRate, readKeys, readCallers)
	calm := time.Duration(w.count2(2, 5)) * time.Second
	off := w.streamReads(ctx, without)
	testbed.Pause(ctx, calm)
	base := off.finish()
	rows := [][]string{base.between(settled, calm).row("without Redis for long")}
	for _, f := range redisTroubles() {
		more, err := w.playRedisFault(ctx, &s, p, f, calm)
		rows = append(rows, more...)
		if err != nil {
			return s, err
		}
	}
	s.table(timingHead("phase"), rows)
	return s, nil
}

// count2 returns quick in a quick run, and full otherwise.
func (o options) count2(quick, full int) int {
	if o.quick {
		return quick
	}
	return full
}

func (w *world) playRedisFault(ctx context.Context, s *section, p *process, f redisTrouble, phase time.Duration) (rows [][]string, err error) {
	load := w.streamReads(ctx, p)
	testbed.Pause(ctx, settled+phase)
	began := load.now()
	err = f.begin(ctx, w.Redis)
	testbed.Pause(ctx, phase)
	ended := load.now()
	err = errors.Join(err, f.end(ctx, w.Redis))
	testbed.Pause(ctx, settled+phase/2)
	all := load.finish()
	if err != nil {
		return nil, err
	}
	last := all[len(all)-1].at + 1
	calm, fault, later := all.between(settled, began-underWay), all.between(began-underWay, last), all.between(began+settled, ended)
	again := all.between(ended+settled, last)
	s.add("Redis "+f.name+": failed requests", "0", fmt.Sprintf("%d of %s (%s)", fault.failed(), thousands(len(fault)), listCodes(fault.codes())), fault.failed() == 0)
	s.add("Redis "+f.name+": worst request", fmt.Sprintf("at most %s ms, the worst before + 60", inMS(calm.worst()+worstMore)),
		inMS(fault.worst())+" ms", fault.worst() <= calm.worst()+worstMore)
	s.add("Redis "+f.name+": p99 from 1 s after on", fmt.Sprintf("at most %s ms, that with the cache + 2", inMS(calm.quantile(0.99)+p99More)),
		inMS(later.quantile(0.99))+" ms", later.quantile(0.99) <= calm.quantile(0.99)+p99More)
	plot, err := all.overTime("redis-"+f.name, f.title, moment{"start of the fault", began}, moment{"end of the fault", ended})
	s.figures = append(s.figures, plot)
	return [][]string{
		calm.row(f.name + ": before"), all.between(began-underWay, began+settled).row(f.name + ": first second"), later.row(f.name + ": from then on"),
		all.between(ended, ended+settled).row(f.name + ": first second after its end"), again.row(f.name + ": from then on"),
	}, err
}

// streamReads reads cached entities that do not change.
func (w *world) streamReads(ctx context.Context, p *process) *stream {
	return startStream(ctx, readRate, readCallers, func(ctx context.Context, i int) string {
		n := i / 3 * 7919 % readKeys
		var err error
		switch i % 3 {
		case 0:
			_, err = p.users.GetUser(ctx, &databasev1.GetUserRequest{UserId: w.users[n]})
		case 1:
			_, err = p.characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: w.characters[n]})
		default:
			_, err = p.characters.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: w.users[n]})
		}
		return answerCode(err)
	})
}

// answerCode is the code of an answer, and "" for success.
func answerCode(err error) string {
	if err == nil {
		return ""
	}
	return codeOf(err)
}
