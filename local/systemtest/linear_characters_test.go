package systemtest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// characterInput is an operation on the character. A save is two operations, both before its answer: it takes effect, and it is
// acknowledged. Between them a read from the database may be newer than a read from the cache.
type characterInput struct {
	op              string // save, acknowledged, read
	expected, money int64
}

type characterOutput struct {
	version, money int64
	refused        bool // because of its version
}

// characterState is the character in the database, and the oldest version that a read may return.
type characterState struct {
	version, money, acknowledged int64
}

// after returns whether the operation could have that output in this state, and the next state. written is the money of each
// version.
func (s characterState) after(in characterInput, out characterOutput, written map[int64]int64) (bool, characterState) {
	switch {
	case in.op == "acknowledged":
		s.acknowledged = max(s.acknowledged, out.version)
		return s.version >= out.version, s
	case in.op == "save" && out.refused:
		return in.expected != s.version && out.version == s.version, s
	case in.op == "save":
		fits := in.expected == s.version && out.version == s.version+1
		s.version, s.money = out.version, in.money
		return fits, s
	}
	return s.acknowledged <= out.version && out.version <= s.version && out.money == written[out.version], s
}

// characterModel is the contract of a character: saves happen one after the other, and no read is older than a save that was
// acknowledged before the read began.
func characterModel(first *databasev1.Character, ops []porcupine.Operation) porcupine.Model {
	written := map[int64]int64{first.Version: first.Money}
	for _, op := range ops {
		in, out := op.Input.(characterInput), op.Output.(characterOutput)
		if in.op == "save" && !out.refused {
			written[out.version] = in.money
		}
	}
	return porcupine.Model{
		Init: func() any { return characterState{first.Version, first.Money, first.Version} },
		Step: func(state, input, output any) (bool, any) {
			return state.(characterState).after(input.(characterInput), output.(characterOutput), written)
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
	}
}

// linearCharacter is the character that all clients save and read.
type linearCharacter struct {
	testing.TB
	*env
	*history
	first *databasev1.Character
}

// TestCharacterIsLinearizable checks the history of clients that save and read one character, through one program and through
// two, while values and the watermark disappear from Redis.
func TestCharacterIsLinearizable(t *testing.T) {
	t.Parallel()
	for name, two := range map[string]bool{"one program": false, "two programs": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t, testenv.RedisKinds()[0])
			programs := []*clients{e.clients, e.clients}
			if two {
				programs[1] = serve(t, e.Open(t))
			}
			var c *linearCharacter
			h := untilKnown(t, func() *history {
				r := &databasev1.CreateCharacterRequest{UserId: e.AddUser(t, newName()), Name: newName(), RequestId: conformUUID()}
				a, err := patiently(t, e.characters.CreateCharacter, r)
				if err != nil {
					t.Fatal(err)
				}
				c = &linearCharacter{t, e, newHistory(), a.Character}
				c.play(programs)
				return c.history
			})
			h.linear(t, characterModel(c.first, h.ops))
			if stats := e.Program.Cache.Stats(); stats.Hits == 0 || stats.Fills == 0 || stats.Syncs == 0 || stats.FailedDeletes > 0 {
				t.Errorf("the cache had too little to do, or its Redis failed: %+v", stats)
			}
			c.wantSaves()
			c.do(0, characterInput{op: "read"}, func() (any, bool) {
				return characterOutput{version: c.first.Version, money: c.first.Money}, true
			})
			if got := porcupine.CheckOperationsTimeout(characterModel(c.first, h.ops), h.ops, time.Minute); got != porcupine.Illegal {
				t.Errorf("with a last read of the first version, the checker returned %s", got)
			}
		})
	}
}

// wantSaves checks that the history contains enough of each operation.
func (c *linearCharacter) wantSaves() {
	n := map[string]int{}
	for _, op := range c.ops {
		in, out := op.Input.(characterInput), op.Output.(characterOutput)
		n[in.op+strconv.FormatBool(out.refused)]++
	}
	if n["savefalse"] < 10 || n["savetrue"] < 3 || n["readfalse"] < 100 {
		c.Errorf("too little happened: %v", n)
	}
}

func (c *linearCharacter) play(programs []*clients) {
	const callers, calls = 6, 80
	var all sync.WaitGroup
	asked := make(chan struct{})
	for n := range callers {
		all.Go(func() {
			version := c.first.Version
			for call := range calls {
				if seen := c.act(n, programs[n%len(programs)], version, int64(n*calls+call)); seen > 0 {
					version = seen
				}
				asked <- struct{}{}
			}
		})
	}
	for n := range callers * calls {
		<-asked
		if n%15 == 0 {
			c.lose()
		}
	}
	all.Wait()
}

// lose deletes something from Redis, as eviction does, or makes the watermark old enough for a sync.
func (c *linearCharacter) lose() {
	client, ctx := c.Redis.Client, c.Context()
	var err error
	switch rand.IntN(6) {
	case 0:
		err = client.Del(ctx, c.Watermark(c)).Err()
	case 1:
		err = client.FlushAll(ctx).Err()
	case 2:
		c.AgeWatermark(c, 600*time.Millisecond)
	default:
		err = client.Del(ctx, "character:"+strconv.FormatInt(c.first.Id, 10)).Err()
	}
	if err != nil {
		c.Error(err)
	}
}

// act makes one call and returns the version in its answer, or 0.
func (c *linearCharacter) act(client int, service *clients, version, money int64) (seen int64) {
	if rand.IntN(6) == 0 {
		return c.save(client, service, version, money)
	}
	c.do(client, characterInput{op: "read"}, func() (any, bool) {
		got, err := c.read(service)
		if c.unanswered(err, false) {
			return nil, false
		}
		if err != nil {
			c.Errorf("read = %v", err)
			return nil, false
		}
		seen = got.Version
		return characterOutput{version: got.Version, money: got.Money}, true
	})
	return seen
}

// read reads the character in one of the possible ways.
func (c *linearCharacter) read(service *clients) (*databasev1.Character, error) {
	r := &databasev1.GetCharacterListRequest{UserId: c.first.UserId}
	switch rand.IntN(4) {
	case 0:
		r.View = fullView
	case 1:
	default:
		a, err := service.characters.GetCharacter(c.Context(), &databasev1.GetCharacterRequest{CharacterId: c.first.Id})
		return a.GetCharacter(), err
	}
	a, err := service.characters.GetCharacterList(c.Context(), r)
	if err == nil && len(a.Characters) != 1 {
		return nil, fmt.Errorf("the list has %d characters", len(a.Characters))
	}
	if err != nil {
		return nil, err
	}
	return a.Characters[0], nil
}

// save saves and records both operations.
func (c *linearCharacter) save(client int, service *clients, version, money int64) (seen int64) {
	call := time.Since(c.start)
	r := &databasev1.SaveCharacterRequest{CharacterId: c.first.Id, ExpectedVersion: version, Money: proto.Int64(money)}
	a, err := service.characters.SaveCharacter(c.Context(), r)
	if c.unanswered(err, true) {
		return 0
	}
	save := characterInput{op: "save", expected: version, money: money}
	if e, refused := errors.AsType[twirp.Error](err); refused && e.Meta("reason") == "VERSION_MISMATCH" {
		current, err := strconv.ParseInt(e.Meta("current_version"), 10, 64)
		if err != nil {
			c.Errorf("SaveCharacter = %v", e)
		}
		c.note(client, call, characterOutput{version: current, refused: true}, save)
		return current
	}
	if err != nil {
		c.Errorf("SaveCharacter = %v", err)
		return 0
	}
	c.note(client, call, characterOutput{version: a.Version, money: money}, save, characterInput{op: "acknowledged"})
	return a.Version
}

// TestCharacterCheckerCanFail checks that the checker refuses wrong histories.
func TestCharacterCheckerCanFail(t *testing.T) {
	t.Parallel()
	first := &databasev1.Character{Version: 1, Money: 5}
	op := func(from, to, expected, version, money int64, what string) porcupine.Operation {
		return porcupine.Operation{
			Input: characterInput{what, expected, money}, Output: characterOutput{version, money, false}, Call: from, Return: to,
		}
	}
	saved := []porcupine.Operation{op(0, 10, 1, 2, 7, "save"), op(0, 10, 1, 2, 7, "acknowledged")}
	for what, last := range map[string]struct {
		porcupine.Operation
		want porcupine.CheckResult
	}{
		"read as it is":                      {op(20, 30, 0, 2, 7, "read"), porcupine.Ok},
		"read as it was while it was saved":  {op(9, 30, 0, 1, 5, "read"), porcupine.Ok},
		"read as it was after it was saved":  {op(11, 30, 0, 1, 5, "read"), porcupine.Illegal},
		"read with what it never had":        {op(20, 30, 0, 2, 5, "read"), porcupine.Illegal},
		"read before it was saved":           {op(-20, -10, 0, 2, 7, "read"), porcupine.Illegal},
		"saved twice on the same version":    {op(5, 30, 1, 2, 7, "save"), porcupine.Illegal},
		"saved on the version after it":      {op(20, 30, 2, 3, 8, "save"), porcupine.Ok},
		"saved on a version that is to come": {op(20, 30, 3, 4, 8, "save"), porcupine.Illegal},
	} {
		ops := append([]porcupine.Operation{last.Operation}, saved...)
		if got := porcupine.CheckOperationsTimeout(characterModel(first, ops), ops, time.Minute); got != last.want {
			t.Errorf("%s: the checker returned %s, want %s", what, got, last.want)
		}
	}
}
