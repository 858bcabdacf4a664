package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const (
	entities   = 16 // users, and as many characters of other users: few, so that most reads follow a write closely
	readers    = 16
	writers    = 4                     // of each kind
	writePause = 60 * time.Millisecond // maximum between two writes of one writer
)

// entity is a user or a character, and its history.
type entity struct {
	history
	user      string // id of the user, or of the owner
	username  string
	email     string
	character int64
	version   int  // the newest version that its writer knows
	uncertain bool // whether a write with an unknown result may still take effect
}

// load is the readers and writers of a run, and their observations.
type load struct {
	w          *world
	start      time.Time
	processes  []*process
	users      []*entity
	characters []*entity
	byID       map[int64]*entity

	// What the display name of each user and the name of each character begin with in this database.
	userMark, characterMark string

	phase atomic.Pointer[tally]

	mu       sync.Mutex
	failures []failure
	timeline []time.Duration // the highest age in each slice of the run
}

// failure is a failed request.
type failure struct {
	began, ended time.Duration
	code, text   string
}

const slice = 100 * time.Millisecond

func newLoad(w *world, processes []*process) *load {
	l := &load{w: w, start: time.Now(), processes: processes, byID: map[int64]*entity{}, userMark: "User", characterMark: "Hero"}
	for i := range entities {
		u := &entity{user: w.users[i], username: fmt.Sprintf("user%d", i+1), email: fmt.Sprintf("user%d@example.com", i+1)}
		c := &entity{user: w.users[entities+i/2], character: w.characters[entities+i/2]}
		if i%2 == 1 { // each owner has two characters that change
			c.character = w.seconds[entities+i/2]
		}
		for _, e := range []*entity{u, c} {
			e.history.start, e.version, e.tried = l.start, 1, 1
		}
		l.users, l.characters, l.byID[c.character] = append(l.users, u), append(l.characters, c), c
	}
	return l
}

// run reads and writes until ctx ends. It lets running requests complete, because canceled ones would count as failed.
func (l *load) run(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() { l.read(ctx, i) })
	}
	for i := range writers {
		wg.Go(func() { l.writeUsers(ctx, share(l.users, i)) })
		wg.Go(func() { l.writeCharacters(ctx, share(l.characters, i)) })
	}
	wg.Wait()
}

// share returns the entities of a writer. Each entity has one writer.
func share(all []*entity, writer int) (mine []*entity) {
	for i := writer; i < len(all); i += writers {
		mine = append(mine, all[i])
	}
	return mine
}

// read reads random entities, through the processes in turn.
func (l *load) read(ctx context.Context, reader int) {
	calls := context.WithoutCancel(ctx)
	for i := reader; ctx.Err() == nil; i++ {
		via, n := i%len(l.processes), rand.IntN(entities)
		switch kind := rand.IntN(20); { // 3 of 20 for a user, 5 for a list
		case kind < 3:
			l.readUser(calls, via, l.users[n], kind)
		case kind < 8:
			l.readList(calls, via, l.characters[n].user)
		default:
			l.readCharacter(calls, via, l.characters[n])
		}
	}
}

func (l *load) readUser(ctx context.Context, via int, e *entity, kind int) {
	c, t, began := l.processes[via].users, l.phase.Load(), time.Since(l.start)
	var u interface{ GetUser() *databasev1.User }
	var err error
	switch kind {
	case 0:
		u, err = c.GetUserByUsername(ctx, &databasev1.GetUserByUsernameRequest{Username: e.username})
	case 1:
		u, err = c.GetUserByEmail(ctx, &databasev1.GetUserByEmailRequest{Email: e.email})
	default:
		u, err = c.GetUser(ctx, &databasev1.GetUserRequest{UserId: e.user})
	}
	if l.failed(ctx, began, err) {
		return
	}
	version, _ := strconv.Atoi(u.GetUser().GetName()) // 0 is never a version
	v := e.judge(via, version, began)
	v.foreign = !strings.HasPrefix(u.GetUser().GetDisplayUsername(), l.userMark)
	t.addUser(v)
	l.note(began, v)
}

func (l *load) readCharacter(ctx context.Context, via int, e *entity) {
	t, began := l.phase.Load(), time.Since(l.start)
	r, err := l.processes[via].characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: e.character})
	if l.failed(ctx, began, err) {
		return
	}
	v := e.judge(via, int(r.Character.Version), began)
	v.foreign = !strings.HasPrefix(r.Character.Name, l.characterMark)
	t.addCharacter(v)
	l.note(began, v)
}

// readList is one read. It is as old as the oldest character in it.
func (l *load) readList(ctx context.Context, via int, user string) {
	t, began := l.phase.Load(), time.Since(l.start)
	r, err := l.processes[via].characters.GetCharacterList(ctx,
		&databasev1.GetCharacterListRequest{UserId: user, View: databasev1.CharacterView_CHARACTER_VIEW_BASIC})
	if l.failed(ctx, began, err) {
		return
	}
	worst := verdict{invented: len(r.Characters) != 2}
	for _, c := range r.Characters {
		v := l.byID[c.Id].judge(via, int(c.Version), began)
		foreign := !strings.HasPrefix(c.Name, l.characterMark)
		worst = verdict{worst.invented || v.invented, worst.foreign || foreign, max(worst.age, v.age), max(worst.own, v.own), max(worst.others, v.others)}
	}
	t.addCharacter(worst)
	l.note(began, worst)
}

// note enters an age into the timeline.
func (l *load) note(began time.Duration, v verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := int(began / slice)
	for len(l.timeline) <= i {
		l.timeline = append(l.timeline, 0)
	}
	l.timeline[i] = max(l.timeline[i], v.age)
}

// failed records a failure, and waits 5 ms after one.
func (l *load) failed(ctx context.Context, began time.Duration, err error) bool {
	if err == nil {
		return false
	}
	f := failure{began: began, ended: time.Since(l.start), code: codeOf(err), text: err.Error()}
	l.mu.Lock()
	l.failures = append(l.failures, f)
	l.mu.Unlock()
	testbed.Pause(ctx, 5*time.Millisecond)
	return true
}

// codeOf is Twirp's code with the reason, for example "unavailable DATABASE_UNAVAILABLE". If the service did not answer, it
// is "no answer" or, from Twirp's client, "internal".
func codeOf(err error) string {
	e, ok := errors.AsType[twirp.Error](err)
	switch {
	case !ok:
		return "no answer"
	case e.Meta("reason") == "":
		return string(e.Code())
	}
	return string(e.Code()) + " " + e.Meta("reason")
}
