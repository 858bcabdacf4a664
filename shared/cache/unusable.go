package cache

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Unusable is the error of a Redis that answers and cannot be the cache. Its text says why, and what to do. It contains no
// address, no key of a user and no password.
type Unusable struct {
	// WrongURL says that REDIS_URL leads to a server that cannot be used, or asks it for something that it does not have.
	// Waiting does not help.
	WrongURL bool

	class, text string
}

// Error implements error.
func (u *Unusable) Error() string { return u.text }

const (
	classRights  = "rights"
	classUnknown = "unknown"
	addCluster   = "Redis is a cluster: add ?cluster=true to REDIS_URL"
)

// refusals are the replies that mean that Redis cannot be used. A code begins a reply, or an error inside a script's reply.
var refusals = []struct {
	code, part string // one of them
	Unusable
}{
	{"WRONGPASS", "", Unusable{true, "login", "the server refuses the user or the password of REDIS_URL"}},
	{"NOAUTH", "", Unusable{true, "login", "the server asks for a password, and REDIS_URL has none: write redis://:password@host:6379, or redis://user:password@host:6379"}},
	{"READONLY", "", Unusable{true, "replica", "the server is a replica: REDIS_URL must lead to the primary"}},
	{"MASTERDOWN", "", Unusable{true, "replica", "the server is a replica without its primary: REDIS_URL must lead to the primary"}},
	{"OOM", "", Unusable{false, "full", "Redis is full and evicts nothing: set maxmemory-policy allkeys-lfu, or raise maxmemory"}},
	{"MISCONF", "", Unusable{false, "disk", "Redis refuses writes because it cannot save to its disk: repair the disk, or set stop-writes-on-bgsave-error no"}},
	{"NOREPLICAS", "", Unusable{false, "replicas", "Redis refuses writes because it has too few replicas: repair them, or lower min-replicas-to-write"}},
	{"LOADING", "", Unusable{false, "loading", "Redis is loading its data: wait until it has"}},
	{"BUSY", "", Unusable{false, "busy", "Redis is running a script that does not end: SCRIPT KILL ends it"}},
	{"CLUSTERDOWN", "", Unusable{false, "slots", "the Redis Cluster is down, or some slots have no node: repair it (CLUSTER INFO)"}},
	{"", "max number of clients", Unusable{false, "clients", "Redis accepts no more connections: raise maxclients, or lower pool_size in REDIS_URL"}},
	{"DENIED", "", Unusable{true, "protected", "Redis is in protected mode and answers only its own machine: set a password, or protected-mode no"}},
	{"", "DB index is out of range", Unusable{true, "database", "Redis has no database of the number in REDIS_URL: write a lower number or none, or raise databases in redis.conf (in a cluster remove the number and add ?cluster=true)"}},
	{"", "SELECT is not allowed in cluster mode", Unusable{true, "cluster", "Redis is a cluster, which has only the database 0: remove the number from REDIS_URL and add ?cluster=true"}},
	{"", "cluster support disabled", Unusable{true, "no cluster", "the server is no Redis Cluster: remove cluster=true from REDIS_URL"}},
}

// Both are compiled at their first use: a cold start does not wait for them.
var (
	notPermitted = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`run the '([a-z]+(?:\|[a-z]+)?)[^']*' command`) })
	notKnown     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`unknown command '?` + "`?" + `([A-Za-z]+)`) })
)

// diagnose returns why an error reply means that Redis cannot be used. It returns nil if err is no reply, or one that says
// something of a single call only.
func diagnose(err error, cluster bool) *Unusable {
	reply, answered := errors.AsType[redis.Error](err)
	if !answered {
		return nil
	}
	text := reply.Error()
	for i := range refusals {
		if r := &refusals[i]; r.part != "" && strings.Contains(text, r.part) || r.code != "" && hasCode(text, r.code) {
			return &r.Unusable
		}
	}
	switch {
	case !cluster && (hasCode(text, "MOVED") || hasCode(text, "ASK") || hasCode(text, "CROSSSLOT")):
		return &Unusable{false, "cluster", addCluster}
	case hasCode(text, "NOPERM") || strings.Contains(text, "ACL failure in script") || strings.Contains(text, "user executing the script can't"):
		if command := notPermitted().FindStringSubmatch(text); command != nil {
			return lacksRights(command[1])
		}
		return &Unusable{false, classRights, "the ACL user of REDIS_URL lacks a right: grant what local/README.md lists"}
	case strings.Contains(text, "unknown command"):
		if command := notKnown().FindStringSubmatch(text); command != nil {
			return lacksCommands(command[1])
		}
	}
	return nil
}

func hasCode(text, code string) bool {
	return strings.HasPrefix(text, code+" ") || strings.Contains(text, "-"+code+" ")
}

func lacksRights(commands ...string) *Unusable {
	return &Unusable{false, classRights, "the ACL user of REDIS_URL lacks +" + strings.Join(commands, " +") + ": grant it with ACL SETUSER"}
}

func lacksKeys(prefixes ...string) *Unusable {
	return &Unusable{false, classRights, "the ACL user of REDIS_URL lacks ~" + strings.Join(prefixes, "* ~") + "*: grant it with ACL SETUSER"}
}

func lacksCommands(commands ...string) *Unusable {
	return &Unusable{false, classUnknown, "the server has no command " + strings.ToUpper(strings.Join(commands, ", ")) +
		": it was renamed or switched off (rename-command), and the cache needs it"}
}

// notices reports why Redis cannot be used: each class of reasons once, until a check has found that all is well again.
type notices struct {
	report func(*Unusable)

	mu    sync.Mutex
	known map[string]bool
}

func (n *notices) found(u *Unusable) {
	if u == nil || n.report == nil {
		return
	}
	n.mu.Lock()
	known := n.known[u.class]
	if n.known == nil {
		n.known = map[string]bool{}
	}
	n.known[u.class] = true
	n.mu.Unlock()
	if !known {
		n.report(u)
	}
}

// works takes the result of a check that has found nothing.
func (n *notices) works() {
	n.mu.Lock()
	again := len(n.known) > 0
	n.known = nil
	n.mu.Unlock()
	if again {
		n.report(nil)
	}
}

// reply takes the replies to a lookup that cannot be read. Each of them may be an error.
func (n *notices) reply(raw []byte, cluster bool) {
	if n.report == nil {
		return
	}
	for line := range bytes.Lines(raw) {
		if text, is := bytes.CutPrefix(bytes.TrimRight(line, "\r\n"), []byte("-")); is {
			n.found(diagnose(errorReply(text), cluster))
		}
	}
}

// errorReply is the text of an error reply.
type errorReply string

// Error implements error.
func (e errorReply) Error() string { return string(e) }

// RedisError implements redis.Error.
func (errorReply) RedisError() {}
