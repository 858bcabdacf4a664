package systemtest_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/testenv"
)

const (
	aclFile = "../../scripts/deploy/users.acl"
	aclUser = "database-service"
)

// usersACL writes scripts/deploy/users.acl with a password, as README.md says, and returns its path.
func usersACL(t *testing.T, password string) (path string) {
	t.Helper()
	file, err := os.ReadFile(aclFile)
	if err != nil {
		t.Fatal(err)
	}
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(password)))
	path = filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(path, []byte(strings.Replace(string(file), "SHA256", hash, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rightsIn returns the commands that an ACL rule allows, sorted.
func rightsIn(rule string) (rights []string) {
	for _, m := range regexp.MustCompile(`\+(\S+)`).FindAllStringSubmatch(rule, -1) {
		rights = append(rights, m[1])
	}
	slices.Sort(rights)
	return rights
}

// useCache makes every call that reads, fills, follows or deletes something in Redis.
func useCache(t *testing.T, e *env) {
	t.Helper()
	p := newPlayer(t, e)
	get := func() *databasev1.User {
		u, err := patiently(t, e.users.GetUser, &databasev1.GetUserRequest{UserId: p.id})
		if err != nil {
			t.Fatal(err)
		}
		return u.User
	}
	user := get()
	calls := map[string]func() error{
		"GetUserByEmail": func() error {
			_, err := patiently(t, e.users.GetUserByEmail, &databasev1.GetUserByEmailRequest{Email: user.Email})
			return err
		},
		"GetUserByUsername": func() error {
			_, err := patiently(t, e.users.GetUserByUsername, &databasev1.GetUserByUsernameRequest{Username: user.Username})
			return err
		},
		"GetCharacter": func() error {
			_, err := patiently(t, e.characters.GetCharacter, &databasev1.GetCharacterRequest{CharacterId: p.character})
			return err
		},
		"GetCharacterList": func() error {
			_, err := patiently(t, e.characters.GetCharacterList, &databasev1.GetCharacterListRequest{UserId: p.id})
			return err
		},
		"SaveCharacter": func() error {
			money := int64(7)
			saved, err := patiently(t, e.characters.SaveCharacter,
				&databasev1.SaveCharacterRequest{CharacterId: p.character, ExpectedVersion: p.version, Money: &money})
			p.version = saved.GetVersion()
			return err
		},
	}
	for hits := e.Program.Cache.Stats().Hits; e.Program.Cache.Stats().Hits < hits+20; {
		for name, call := range calls {
			if err := call(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	e.WebExec(t, `UPDATE {user} SET [name] = 'Renamed' WHERE [id] = $1`, p.id)
	eventually(t, "the new name", func() bool { return get().Name == "Renamed" })
	if err := e.Program.Cache.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// TestRedisACL checks that scripts/deploy/users.acl allows what the program sends, and nothing else.
func TestRedisACL(t *testing.T) {
	t.Parallel()
	if testenv.RedisKinds()[0] != "redis-server" {
		t.Log("no redis-server here: miniredis has no ACL")
		return
	}
	file, err := os.ReadFile(aclFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rule, _ := strings.Cut(string(file), "user "+aclUser+" ")
	rights := rightsIn(rule)
	e := start(t, "redis-server")
	m := watchCommands(t, e.Redis.Addr)
	useCache(t, e)
	e.Redis.Client.RPush(t.Context(), "wm:databases", "not a hash") // scripts delete what has another type
	useCache(t, e)
	setuser := []any{"acl", "setuser", aclUser, "on", ">s3cret"}
	for _, word := range strings.Fields(rule) {
		if !strings.HasPrefix(word, "#") && word != "on" {
			setuser = append(setuser, word)
		}
	}
	if err := e.Redis.Client.Do(t.Context(), setuser...).Err(); err != nil {
		t.Fatal(err)
	}
	e.Redis.Client.Echo(t.Context(), "end")
	eventually(t, "the end of the commands", func() bool { return m.has("echo end") })
	used := map[string]bool{}
	for _, command := range m.seen() {
		used[strings.ToLower(command[0].(string))] = true
		if got := e.Redis.Client.ACLDryRun(t.Context(), aclUser, command...).Val(); got != "OK" {
			t.Errorf("the program sends %.60q: %s", command, got)
		}
	}
	if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, rights) {
		t.Errorf("the program uses %q, and users.acl allows %q", got, rights)
	}
	for _, line := range refusedCommands {
		var command []any
		for _, word := range strings.Fields(line) {
			command = append(command, word)
		}
		if got, err := e.Redis.Client.ACLDryRun(t.Context(), aclUser, command...).Result(); err != nil || !strings.Contains(got, "has no permissions") {
			t.Errorf("%s: %q, %v; want it refused", line, got, err)
		}
	}
}

// refusedCommands are what a stolen login of the service must not do.
var refusedCommands = []string{
	"config get *", "config set dir /tmp", "config rewrite", "acl list", "acl setuser x on", "acl whoami",
	"keys *", "scan 0", "randomkey", "dbsize", "flushall", "flushdb", "swapdb 0 1", "select 1", "move user:1 1",
	"script load x", "script flush", "script kill", "function load x", "fcall x 0", "eval_ro x 0", "evalsha_ro x 0",
	"debug sleep 0", "debug object user:1", "module load x", "monitor", "shutdown", "save", "bgsave", "bgrewriteaof",
	"replicaof no one", "psync x 0", "failover", "cluster slots", "cluster failover", "client list", "client kill 127.0.0.1:1",
	"client pause 1", "client setname x", "client no-evict on", "info", "command", "slowlog get", "latency latest",
	"memory doctor", "object encoding user:1", "dump user:1", "restore user:1 0 x", "migrate 127.0.0.1 1 user:1 0 1", "rename user:1 user:2",
	"copy user:1 user:2", "persist user:1", "expire user:1 1", "expireat user:1 1", "type user:1", "ttl user:1", "exists user:1", "unlink user:1",
	"append user:1 x", "setrange user:1 536870911 x", "hincrby user:1 f 1", "sort user:1", "publish x y", "subscribe x",
	"multi", "watch user:1", "wait 1 1", "blpop x 0", "lpush user:1 x", "xadd user:1 * f v",
	// Keys of other programs.
	"get session:1", "set session:1 x", "del session:1", "hgetall users", "hset other:user:1 f v", "eval x 1 session:1", "hget wm f",
}

// TestACLFile starts Redis with scripts/deploy/users.acl: the cache works, and without the login nothing does.
func TestACLFile(t *testing.T) {
	t.Parallel()
	if testenv.RedisKinds()[0] != "redis-server" {
		t.Log("no redis-server here: miniredis has no ACL")
		return
	}
	r := testenv.StartRedis(t, "redis-server", "--aclfile", usersACL(t, "s3cret"))
	if err := r.Client.Time(t.Context()).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("without a login: %v, want NOAUTH", err)
	}
	e := start(t, "miniredis", func(c *app.Options) { c.RedisURL = "redis://" + aclUser + ":s3cret@" + r.Addr })
	useCache(t, e)
	if s := e.Program.Cache.Stats(); s.Fills == 0 || s.Syncs == 0 {
		t.Errorf("%+v, want fills and syncs", s)
	}
	as := redis.NewClient(&redis.Options{Addr: r.Addr, Username: aclUser, Password: "s3cret", Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = as.Close() })
	for _, script := range []string{"return redis.call('FLUSHALL')", "return redis.call('GET', 'session:1')"} {
		if err := as.Eval(t.Context(), script, nil).Err(); err == nil || !strings.Contains(err.Error(), "user executing the script can't") {
			t.Errorf("%s: %v, want it refused to this user", script, err)
		}
	}
}

// TestACLFileIsNotUsedAsItIs checks that the file has no password that everybody knows: Redis does not start with it.
func TestACLFileIsNotUsedAsItIs(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(aclFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(file)
	if strings.Count(text, " #SHA256 ") != 1 || strings.Contains(text, ">") || strings.Contains(text, "nopass") || !strings.HasPrefix(text, "user default off\n") {
		t.Errorf("users.acl is %q, want the default user off and one #SHA256 in place of a password", text)
	}
}

// rightsOf returns the commands that a rule in a file allows, sorted.
func rightsOf(t *testing.T, path, rule string) []string {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(rule).FindSubmatch(file)
	if m == nil {
		t.Fatalf("%s has no %s", path, rule)
	}
	return rightsIn(string(m[1]))
}

// A cluster needs two commands more. README.md and template.yaml allow the same.
func TestRedisACLOfACluster(t *testing.T) {
	t.Parallel()
	if testenv.RedisKinds()[0] != "redis-server" {
		t.Log("no redis-server here: miniredis has no cluster")
		return
	}
	r := testenv.StartRedisCluster(t, 1)[0]
	m := watchCommands(t, r.Addr)
	e := start(t, "miniredis", func(c *app.Options) { c.RedisURL = "redis://" + r.Addr + "?cluster=true" })
	useCache(t, e)
	r.Client.Echo(t.Context(), "end")
	eventually(t, "the end of the commands", func() bool { return m.has("echo end") })
	used := map[string]bool{}
	for _, command := range m.seen() {
		name := strings.ToLower(command[0].(string))
		if name == "cluster" {
			name += "|" + strings.ToLower(command[1].(string))
		}
		used[name] = true
	}
	for name := range used { // of the test that made the cluster
		if strings.HasPrefix(name, "cluster|") && name != "cluster|slots" {
			delete(used, name)
		}
	}
	single := rightsOf(t, aclFile, "(?s)(.*)")
	more := rightsOf(t, "../README.md", "in a cluster\\s+`([^`]+)`")
	allowed := slices.Sorted(slices.Values(slices.Concat(single, more)))
	if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, allowed) {
		t.Errorf("the program uses %q, and README.md allows %q", got, allowed)
	}
	if got := rightsOf(t, "../README.md", "An ACL user needs `([^`]+)`"); !slices.Equal(got, single) {
		t.Errorf("README.md allows %q, and users.acl %q", got, single)
	}
	// Redis refuses HELLO and AUTH to no user. With PING and the name of a library they are here for what AWS puts before its servers.
	proxy := []string{"auth", "client|setinfo", "hello", "ping"}
	want := slices.Sorted(slices.Values(slices.Concat(allowed, proxy)))
	if got := rightsOf(t, "../../template.yaml", `AccessString: (.*)`); !slices.Equal(got, want) {
		t.Errorf("template.yaml allows %q, want %q", got, want)
	}
}
