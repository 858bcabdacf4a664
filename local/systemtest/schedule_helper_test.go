package systemtest_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// errNotPlayed means that a step did not happen as written, for example because a busy machine gave an early answer.
var errNotPlayed = errors.New("the schedule was not played")

// scheduled is a process on the stage. It has no rpc server, because stops would exceed the budget of a request.
type scheduled struct {
	*app.Program
	points *testenv.Points
	services.Services
}

func newScheduled(p *app.Program) *scheduled {
	return &scheduled{p, testenv.PointsOf(p.Redis), services.New(p)}
}

// entity is what is read. The comments say which field is its version.
type entity int

const (
	aUser      entity = iota // the name; the web application changes it
	aCharacter               // the money; the service saves it
	aList                    // the number of characters; the service creates them
)

// stage is two processes and one entity, on which a schedule is played.
type stage struct {
	*env
	processes [2]*scheduled
	entity    entity
	user      string
	character int64
	request   string // the id of the stage's only write
	version   int64  // as last committed or acknowledged
	acts      map[who]*act
	open      pgx.Tx                       // a transaction of the web application or the owner
	replica   map[string]map[string]string // the watermark and the value in a replica of Redis
	since     time.Duration                // by which the watermark was aged since replicates
}

// who is an actor in one of the two processes. Each has its own id.
type who struct{ process, id int }

// act is a running call.
type act struct {
	stop *testenv.Stop
	end  chan struct{} // closed when there is an answer
	got  int64
	err  error
}

// step is a step of a schedule.
type step func(*testing.T, *stage) error

func newStage(t *testing.T, e *env, of entity) *stage {
	t.Helper()
	id := serial.Add(1)
	s := &stage{
		env: e, entity: of, user: e.AddUser(t, newName()), acts: map[who]*act{},
		request: fmt.Sprintf("%08x-5c4e-4000-8000-%012x", id, id),
	}
	for i := range s.processes {
		s.processes[i] = newScheduled(e.Open(t))
	}
	e.WebExec(t, `UPDATE {user} SET [name] = '0' WHERE id = $1`, s.user)
	if of == aCharacter {
		made, err := patiently(t, e.characters.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: s.user, Name: newName()})
		if err != nil {
			t.Fatal(err)
		}
		s.character = made.Character.Id
	}
	if err := e.Redis.Client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) key() string {
	switch s.entity {
	case aCharacter:
		return fmt.Sprint("character:", s.character)
	case aList:
		return "characters:" + s.user
	}
	return "user:" + s.user
}

func (s *stage) read(ctx context.Context, process int) (int64, error) {
	p := s.processes[process]
	switch s.entity {
	case aCharacter:
		got, err := p.Characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: s.character})
		return got.GetCharacter().GetMoney(), err
	case aList:
		got, err := p.Characters.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: s.user})
		return int64(len(got.GetCharacters())), err
	}
	got, err := p.Users.GetUser(ctx, &databasev1.GetUserRequest{UserId: s.user})
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(got.User.Name, 10, 64)
}

// write writes version 1. replayed means that an earlier call wrote it.
func (s *stage) write(ctx context.Context, process int) (replayed bool, err error) {
	c := s.processes[process].Characters
	if s.entity == aList {
		made, err := c.CreateCharacter(ctx, &databasev1.CreateCharacterRequest{UserId: s.user, Name: "Of" + s.request[:8], RequestId: s.request})
		return made.GetReplayed(), err
	}
	money := int64(1)
	saved, err := c.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{
		UserId: s.user, CharacterId: s.character, ExpectedVersion: 1, SaveId: s.request, Money: &money})
	return saved.GetReplayed(), err
}

// end ends all calls and waits for their answers.
func (s *stage) end() {
	if s.open != nil {
		_ = s.open.Rollback(context.Background())
	}
	for _, a := range s.acts {
		if a.stop != nil {
			a.stop.GoOn()
		}
		<-a.end
	}
}
