package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

const (
	raceRounds = 100
	racers     = 16
	slots      = 5
)

// race is a rule that must hold under any concurrency. round tries it once and returns how it was broken.
type race struct {
	name  string
	round func(ctx context.Context, c databasev1.CharacterDbService, users []string, n int) error
}

func runRaces(ctx context.Context, w *world, _ options) (section, error) {
	s := section{title: "Races", head: []string{"race", "rounds held", "of", "", "first break"}}
	p, err := startServer(w, addresses{}, racers)
	if err != nil {
		return s, err
	}
	defer p.stop()
	// Open the connections first: on a busy machine that takes long, and is not what is measured.
	if err := spread(ctx, racers, 20*racers, getSession(w, p.sessions(stack))); err != nil {
		return s, err
	}
	all := true
	for i, r := range []race{
		{"16 creates, limit 5: 5 characters in slots 0 to 4", raceSlots},
		{"one name by 16 users: one character", raceName},
		{"one request_id 16 times: one character, 16 equal answers", raceRequest},
	} {
		ok, first := 0, ""
		for n := range raceRounds {
			users, err := w.addUsers(ctx, fmt.Sprintf("race%dround%d", i, n))
			if err != nil {
				return s, err
			}
			switch err := r.round(ctx, p.characters(stack), users, n); {
			case err == nil:
				ok++
			case first == "":
				first = fmt.Sprintf("round %d: %v", n, err)
			}
		}
		s.row(r.name, ok, raceRounds, held(ok == raceRounds), first)
		all = all && ok == raceRounds
	}
	s.note("Each round has new users and makes %d calls at the same time, through the generated clients and the whole stack.", racers)
	if !all {
		return s, errMissed
	}
	return s, nil
}

// addUsers creates a user for each racer.
func (w *world) addUsers(ctx context.Context, prefix string) ([]string, error) {
	users := make([]string, racers)
	for i := range users {
		users[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	_, err := w.DB.Exec(ctx, `INSERT INTO "user" (id, name, email, "emailVerified", "updatedAt")
SELECT id, id, id || '@example.com', true, now() FROM unnest($1::text[]) AS id`, users)
	return users, err
}

// create makes the racers' calls at the same time.
func create(ctx context.Context, c databasev1.CharacterDbService, request func(i int) *databasev1.CreateCharacterRequest) ([]*databasev1.CreateCharacterResponse, []error) {
	responses, errs := make([]*databasev1.CreateCharacterResponse, racers), make([]error, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			<-start
			responses[i], errs[i] = c.CreateCharacter(ctx, request(i))
		})
	}
	close(start)
	wg.Wait()
	return responses, errs
}

func raceSlots(ctx context.Context, c databasev1.CharacterDbService, users []string, n int) error {
	_, errs := create(ctx, c, func(i int) *databasev1.CreateCharacterRequest {
		return &databasev1.CreateCharacterRequest{UserId: users[0], Name: fmt.Sprintf("Slot-%dx%d", n, i)}
	})
	if err := onlyRefused(errs, racers-slots, "SLOTS_FULL"); err != nil {
		return err
	}
	return wantSlots(ctx, c, users[0], slots)
}

func raceName(ctx context.Context, c databasev1.CharacterDbService, users []string, n int) error {
	_, errs := create(ctx, c, func(i int) *databasev1.CreateCharacterRequest {
		return &databasev1.CreateCharacterRequest{UserId: users[i], Name: fmt.Sprintf("Name-%d", n)}
	})
	return onlyRefused(errs, racers-1, "NAME_TAKEN")
}

func raceRequest(ctx context.Context, c databasev1.CharacterDbService, users []string, n int) error {
	responses, errs := create(ctx, c, func(int) *databasev1.CreateCharacterRequest {
		return &databasev1.CreateCharacterRequest{UserId: users[0], Name: fmt.Sprintf("Again-%d", n), RequestId: fmt.Sprintf("00000000-0000-4000-8000-%012d", n)}
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	made := 0
	for _, r := range responses {
		if !proto.Equal(r.Character, responses[0].Character) {
			return fmt.Errorf("answers differ: %v and %v", r.Character, responses[0].Character)
		}
		if !r.Replayed {
			made++
		}
	}
	if made != 1 {
		return fmt.Errorf("%d answers say that they made the character", made)
	}
	return wantSlots(ctx, c, users[0], 1)
}

// onlyRefused returns an error unless exactly that many calls failed, each for that reason.
func onlyRefused(errs []error, want int, reason string) error {
	refused := 0
	for _, err := range errs {
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[twirp.Error](err); !ok || e.Meta("reason") != reason {
			return err
		}
		refused++
	}
	if refused != want {
		return fmt.Errorf("%d refused as %s, want %d", refused, reason, want)
	}
	return nil
}

// wantSlots returns an error unless the user has characters in exactly the slots 0 to n - 1.
func wantSlots(ctx context.Context, c databasev1.CharacterDbService, user string, n int) error {
	l, err := c.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: user})
	if err != nil {
		return err
	}
	if len(l.Characters) != n {
		return fmt.Errorf("%d characters, want %d", len(l.Characters), n)
	}
	for i, c := range l.Characters {
		if c.Slot != int32(i) {
			return fmt.Errorf("slot %d, want %d", c.Slot, i)
		}
	}
	return nil
}
