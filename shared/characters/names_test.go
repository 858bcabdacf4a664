package characters_test

import (
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
)

var (
	nameInvalid  = fault{twirp.InvalidArgument, "NAME_INVALID", "name"}
	nameReserved = fault{twirp.InvalidArgument, "NAME_RESERVED", "name"}
)

func TestNames(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	user := e.user(t)
	for _, test := range []struct {
		want  fault
		names []string
	}{
		{fault{}, []string{
			"Abcd", "abcdefghijklmnopqrst", "a-b_c", "1a23", "x--__--x", "Adminton", "Unstaffed", "Grounded", "ZZZZ",
		}},
		{nameInvalid, []string{
			"", "abc", "abcdefghijklmnopqrstu", "-abc", "abc-", "_abc", "abc_", "----", "1234", "12-34", "ab cd", " abcd", "abcd ",
			"ab\ncd", "abcd\n", "ab\tcd", "ab\x00cd", "abcd\x00", "ab.cd", "ab'cd", `ab"cd`, "ab;cd", "ab/cd", "ab%cd", "<abcd>",
		}},
		// Letters that look like ASCII, letters that become ASCII in another case, and invisible characters.
		{nameInvalid, []string{
			"\u0410bcd", "Ab\u0441d", "H\u0435ro", "H\u00ebro", "He\u0301ro", "\uff28\uff45\uff52\uff4f", "\u212aelvin", "\u0130stanbul",
			"stra\u00dfe", "\u017ftaff", "Hero\u200b", "He\u200dro", "\u202eoreH", "\U0001d407\U0001d41e\U0001d42b\U0001d428",
		}},
		{nameReserved, []string{
			"admin", "ADMIN", "Adm1n", "AD-MIN", "a_d_m_i_n", "4dm1n", "4-D-M-1-N", "Administrator", "Adm1n1strat0r", "GameMaster",
			"Game_Master", "gam3mast3r", "moderat0r", "Sy5tem", "5YS7EM", "serv3r", "supp0rt", "5taff", "offic1a1", "0perator",
			"deve1oper", "OsiRose", "0s1r0s3", "r00t", "nu11", "NULL", "undef1ned", "everyone", "anonym0us", "de1eted",
		}},
	} {
		for _, name := range test.names {
			got, err := patiently(t, e.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: name, RequestId: newUUID()})
			wantFault(t, "CreateCharacter("+name+")", err, test.want)
			if err == nil {
				if got.Character.Name != name {
					t.Errorf("CreateCharacter(%s) = name %q, want it unchanged", name, got.Character.Name)
				}
				e.mustDelete(t, got.Character, immediate)
			}
		}
	}
}

func TestNameRules(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		rules characters.Config
		want  map[string]fault
	}{
		{"stricter", characters.Config{NameMin: 6, NameMax: 8, NamesReserved: []string{"Dragon"}}, map[string]fault{
			"Abcde": nameInvalid, "Abcdef": {}, "Abcdefgh": {}, "Abcdefghi": nameInvalid, "dr4g0n": nameReserved, "Adm1n-": nameInvalid, "ad-min": nameReserved,
		}},
		{"never laxer", characters.Config{NameMin: 1, NameMax: 100}, map[string]fault{
			"Abc": nameInvalid, "Abcd": {}, "abcdefghijklmnopqrstu": nameInvalid, "admin": nameReserved,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := one(t, test.rules)
			user := e.user(t)
			for name, want := range test.want {
				_, err := patiently(t, e.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: name, RequestId: newUUID()})
				wantFault(t, "CreateCharacter("+name+")", err, want)
			}
		})
	}
}

func TestNameIsUnique(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	taken := func(t *testing.T, user, name string, want fault) {
		t.Helper()
		_, err := patiently(t, e.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: name, RequestId: newUUID()})
		wantFault(t, "CreateCharacter("+name+")", err, want)
	}
	t.Run("in every case, for every user", func(t *testing.T) {
		user, other := e.user(t), e.user(t)
		taken(t, user, "Arthas", fault{})
		for _, name := range []string{"Arthas", "arthas", "ARTHAS", "aRTHAs"} {
			taken(t, user, name, nameTaken)
			taken(t, other, name, nameTaken)
		}
		taken(t, other, "Art-has", fault{})
	})
	t.Run("while marked", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		e.mustDelete(t, c, scheduled)
		taken(t, e.user(t), c.Name, nameTaken)
	})
	t.Run("free after a delete", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		e.mustDelete(t, c, immediate)
		taken(t, e.user(t), c.Name, fault{})
	})
	t.Run("free after a passed deadline", func(t *testing.T) {
		c := e.mustCreate(t, e.user(t))
		e.setDeadline(t, c, -time.Second)
		taken(t, e.user(t), c.Name, fault{})
	})
	t.Run("free for its own user after a passed deadline", func(t *testing.T) {
		user := e.user(t)
		c := e.mustCreate(t, user)
		e.setDeadline(t, c, -time.Second)
		taken(t, user, c.Name, fault{})
	})
}
