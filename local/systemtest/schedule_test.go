package systemtest_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// schedule is an interleaving that reveals a bug in the protocol. The named ones are traces that the model checker found,
// without the steps that only warm the cache.
type schedule struct {
	name  string
	of    entity
	steps []step
}

const (
	bound = cache.MaxStaleness
	stale = bound + bound/10 // too old to serve under
	due   = bound / 2        // old enough for a sync
)

// The actors of the schedules.
var (
	one      = who{0, 1}
	two      = who{1, 2}
	neighbor = who{0, 3} // of one
	insider  = who{0, 4} // who writes in the process of one
	writer   = who{1, 5}
)

var schedules = []schedule{
	{"clock-after-snapshot", aUser, []step{
		cached, ages(bound * 3 / 10), one.reads(testenv.BeforeApply), commits, passes(bound / 2), one.goesOn(testenv.AfterApply), one.ends(0),
		ages(bound * 6 / 10), two.sees(1),
	}},
	{"apply-without-compare", aUser, []step{
		cached, replicates, commits, ages(stale), two.sees(1), ages(due), one.reads(testenv.BeforeApply),
		failsOver, one.goesOn(testenv.AfterApply), one.ends(1), two.sees(1),
	}},
	{"fill-without-lease", aCharacter, []step{
		uncached, one.reads(testenv.BeforeFill), writer.saves(), one.goesOn(testenv.AfterFill), one.ends(0), two.sees(1),
	}},
	{"fill-without-epoch", aUser, []step{
		uncached, one.reads(testenv.BeforeFill), commits, ages(stale), loses(theWatermark), two.sees(1),
		one.goesOn(testenv.AfterFill), one.ends(0), two.sees(1),
	}},
	{"delete-keeps-lease", aCharacter, []step{
		uncached, one.reads(testenv.BeforeFill), writer.writes(testenv.AfterDelete), one.goesOn(testenv.AfterFill), one.ends(0),
		writer.acknowledged, one.sees(1),
	}},
	{"delete-keeps-lease: in a sync", aUser, []step{
		uncached, one.reads(testenv.BeforeFill), commits, ages(stale), two.sees(1), one.goesOn(testenv.AfterFill), one.ends(0), two.sees(1),
	}},
	{"no-new-epoch", aUser, []step{cached, commits, ages(stale), loses(theWatermark), one.sees(1), two.sees(1)}},
	{"highest-id-for-snapshot", aUser, []step{
		begins, anotherTransactionCommits, cached, concludes, ages(stale), two.sees(1),
	}},
	{"answer-before-delete", aCharacter, []step{
		cached, writer.writes(testenv.BeforeDelete), writer.waits, one.sees(0), writer.acknowledged, one.sees(1),
	}},
	{"delete-before-commit", aCharacter, []step{
		cached, locks, writer.writes(""), awaitsWaiter, one.sees(0), one.sees(0), unlocks, writer.acknowledged, one.sees(1),
	}},
	{"no-bypass-after-failed-delete", aCharacter, []step{cached, insider.breaksAt(testenv.BeforeDelete), insider.saves(), one.sees(1)}},
	{"join-a-started-load", aCharacter, []step{
		uncached, one.reads(testenv.BeforeFill), writer.saves(), neighbor.reads(testenv.AfterLookup), neighbor.goesOn(""),
		passes(20 * time.Millisecond), one.ends(0), neighbor.ends(1),
	}},
	{"value-before-watermark", aUser, []step{
		cached, one.reads(testenv.InLookup), commits, ages(stale), two.sees(1), one.ends(1),
	}},
	{"age-not-checked", aUser, []step{cached, commits, ages(stale), syncIsLocked, one.sees(1), two.sees(1)}},
	{"age-not-checked: with the lease", aUser, []step{
		uncached, one.reads(testenv.BeforeLease), two.sees(0), commits, ages(stale), one.ends(1),
	}},
	{"old-lookup-after-a-sync", aUser, []step{
		cached, ages(bound * 6 / 10), commits, one.reads(testenv.AfterBegin), passes(bound / 2), one.ends(1),
	}},
	{"old-lookup-after-a-sync: overtaken", aUser, []step{
		cached, ages(bound * 6 / 10), commits, one.reads(testenv.AfterBegin), loses(theLock), passes(bound / 2), two.sees(1), one.ends(1),
	}},
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) { stageAll(t, e, schedules) })
}

// stageAll plays the schedules one after another, so that each has Redis to itself.
func stageAll(t *testing.T, e *env, all []schedule) {
	t.Helper()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) { c.play(t, e) })
	}
}

// play repeats a schedule until its steps happened in the written order.
func (c schedule) play(t *testing.T, e *env) {
	t.Helper()
	for range 20 {
		s := newStage(t, e, c.of)
		err := inOrder(c.steps...)(t, s)
		s.end()
		switch {
		case err == nil:
			return
		case !errors.Is(err, errNotPlayed):
			t.Fatal(err)
		}
		t.Log(err)
	}
	t.Error("the steps never happened in the written order")
}

// TestSchedulesAreTheModels checks that each bug of the model checker has a schedule. The tests of package cache play those of the
// tier in the process, and find a mutant of the same name.
func TestSchedulesAreTheModels(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../shared/cache/modelcheck/names.go")
	if err != nil {
		t.Fatal(err)
	}
	played := map[string]bool{
		"timeline-ignored":           true, // TestPromotion
		"names-without-the-database": true, // TestTwoDatabasesOnOneRedis
	}
	mutants, err := os.ReadFile("../../scripts/bench/mutants/mutants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, mutant := range regexp.MustCompile(`(?m)^- name: (memory-.+)$`).FindAllStringSubmatch(string(mutants), -1) {
		played[mutant[1]] = true
	}
	for _, c := range schedules {
		name, _, _ := strings.Cut(c.name, ":")
		played[name] = true
	}
	bugs := regexp.MustCompile(`\tbug\w+: +"(.+)",`).FindAllStringSubmatch(string(text), -1)
	for _, bug := range bugs {
		if !played[bug[1]] {
			t.Errorf("no schedule plays %s", bug[1])
		}
	}
	if len(bugs) < 28 {
		t.Errorf("read %d bugs of the model, which has 28", len(bugs))
	}
}
