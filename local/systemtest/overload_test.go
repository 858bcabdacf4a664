package systemtest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/postgres"
)

var overloaded = fault{twirp.ResourceExhausted, "OVERLOADED"}

// overloadOccupy uses n of the unreserved connections until release is called.
func overloadOccupy(t *testing.T, p *app.Program, n int) (release func()) {
	t.Helper()
	var inside, done sync.WaitGroup
	free := make(chan struct{})
	inside.Add(n)
	for range n {
		done.Go(func() {
			hold := func(context.Context, postgres.Querier) error {
				inside.Done()
				<-free
				return nil
			}
			for p.DB.Read(context.Background(), hold) != nil {
				continue // a busy machine takes long to make a connection
			}
		})
	}
	inside.Wait()
	return func() { close(free); done.Wait() }
}

// While other statements use all unreserved connections, session rpcs are answered, and other rpcs are refused before they
// change anything.
func TestOverload(t *testing.T) {
	t.Parallel()
	e := start(t, "miniredis", func(c *app.Options) { c.Budgets.Database.Queue = postgres.DefaultBudgets().Queue })
	user := e.AddUser(t, newName())
	_, token := e.AddSession(t, user, 10*time.Minute)
	made, err := patiently(t, e.characters.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: newName()})
	if err != nil {
		t.Fatal(err)
	}
	c := made.Character
	e.RDProxy.Refuse() // so that reads need the database
	release := overloadOccupy(t, e.Program, 12)

	// The database keeps answering GetSession, so the refusals are overload and not an outage.
	stop, asking := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asking)
		for {
			select {
			case <-stop:
				return
			default:
				_, err := e.sessions.GetSession(t.Context(), &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}})
				if faultOf(err) == overloaded {
					t.Errorf("GetSession = %v", err)
				}
			}
		}
	}()
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"GetUser": func() error {
			_, err := e.users.GetUser(ctx, &databasev1.GetUserRequest{UserId: user})
			return err
		},
		"GetUserByUsername": func() error {
			_, err := e.users.GetUserByUsername(ctx, &databasev1.GetUserByUsernameRequest{Username: "someone"})
			return err
		},
		"GetUserByEmail": func() error {
			_, err := e.users.GetUserByEmail(ctx, &databasev1.GetUserByEmailRequest{Email: "someone@example.com"})
			return err
		},
		"GetCharacter": func() error {
			_, err := e.characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: c.Id})
			return err
		},
		"GetCharacterList": func() error {
			_, err := e.characters.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: user})
			return err
		},
		"CreateCharacter": func() error {
			_, err := e.characters.CreateCharacter(ctx, &databasev1.CreateCharacterRequest{UserId: user, Name: newName()})
			return err
		},
		"SaveCharacter": func() error {
			_, err := e.characters.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{UserId: user, CharacterId: c.Id, ExpectedVersion: c.Version, Money: proto.Int64(1)})
			return err
		},
		"DeleteCharacter": func() error {
			_, err := e.characters.DeleteCharacter(ctx, &databasev1.DeleteCharacterRequest{UserId: user, CharacterId: c.Id, Mode: databasev1.DeleteMode_DELETE_MODE_IMMEDIATE})
			return err
		},
		"RestoreCharacter": func() error {
			_, err := e.characters.RestoreCharacter(ctx, &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: c.Id})
			return err
		},
	} {
		err := call()
		for faultOf(err) == unavailable { // GetSession was not answered within the queue's time
			err = call()
		}
		wantFault(t, name+" under overload", err, overloaded)
	}
	session := &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: token}}
	if _, err := patiently(t, e.sessions.RefreshSession, session); err != nil {
		t.Errorf("RefreshSession under overload = %v", err)
	}
	bySession := &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}}
	if _, err := patiently(t, e.users.GetUserBySession, bySession); err != nil {
		t.Errorf("GetUserBySession under overload = %v", err)
	}
	close(stop)
	<-asking
	release()
	got, err := patiently(t, e.characters.GetCharacter, &databasev1.GetCharacterRequest{UserId: user, CharacterId: c.Id})
	if err != nil || got.Character.Version != c.Version {
		t.Errorf("GetCharacter afterwards = %v, %v; want the unchanged character", got, err)
	}
}
