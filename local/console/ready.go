package console

import (
	"strconv"
	"strings"
)

// Readiness is the answer of /readyz, with the version of the schema.
type Readiness struct {
	Ready                                     bool
	Database, Schema, Redis, Callers, Warning string // as /readyz has them
	SchemaVersion                             int    // 0: not known
}

// verdict is the state of a part of the service.
type verdict string

const (
	isOK      verdict = "ok"
	notOK     verdict = "not ok"
	attention verdict = "attention"
)

// Class returns the style's class.
func (v verdict) Class() string {
	return map[verdict]string{isOK: "good", notOK: "bad", attention: "warn"}[v]
}

// readyPart is a part of the service, and what an operator should do about it.
type readyPart struct {
	Name      string
	Is        verdict
	Means, Do string // Do is empty if there is nothing to do
}

// parts explains each part. The addresses of about are for what to do.
func (r Readiness) parts(about About) []readyPart {
	return []readyPart{r.database(about.Database), r.schema(), r.redis(about.Redis), r.callers(about.Callers), r.warning()}
}

// headline says whether the service takes requests, and if not, why.
func (r Readiness) headline() readyPart {
	switch {
	case r.Ready && r.Database == "busy":
		return readyPart{"Ready", attention, "Calls can succeed, but every connection to the database is in use.", ""}
	case r.Ready:
		return readyPart{"Ready", isOK, "Calls can succeed.", ""}
	case r.Database == "ok" && r.Schema == "ok":
		return readyPart{"Not ready", attention, "The process is shutting down. It finishes the requests that run.", ""}
	}
	return readyPart{"Not ready", notOK, "Calls fail. The table says why, and what to do.", ""}
}

func (r Readiness) database(address string) readyPart {
	reason, told := strings.CutPrefix(r.Database, "down: ")
	switch {
	case r.Database == "ok":
		return readyPart{"Database", isOK, "PostgreSQL answers.", ""}
	case r.Database == "busy":
		return readyPart{
			"Database", attention, "Every connection of the pool is in use, so the check got none. The service stays ready, and refuses requests that would wait for too long.",
			"Find what became slow: the slowest rpcs are listed below. Then raise pool_max_conns in DATABASE_URL within PostgreSQL's max_connections, or start more processes.",
		}
	case told:
		return readyPart{
			"Database", notOK, "PostgreSQL answers, but the service cannot use it: " + reason + ". Calls fail with unavailable.",
			"Correct DATABASE_URL, or the server at " + address + ". Do not restart this service: each request tries a new connection.",
		}
	}
	return readyPart{
		"Database", notOK, "PostgreSQL does not answer: it is down, hangs, or cannot be reached. Calls fail with unavailable.",
		"Check that the server at " + address + " runs, its load, and the network from this machine. The log line \"the database does not answer\" has the cause. Do not restart this service: each request tries a new connection.",
	}
}

func (r Readiness) schema() readyPart {
	switch r.Schema {
	case "ok":
		means := "The database has what this program needs"
		if r.SchemaVersion > 0 {
			means += ": the schema is at version " + strconv.Itoa(r.SchemaVersion)
		}
		return readyPart{"Schema", isOK, means + ".", ""}
	case "unknown":
		return readyPart{"Schema", attention, "It was not checked, because the database gave no connection.", "Repair the database first."}
	}
	return readyPart{
		"Schema", notOK, "PostgreSQL answers, but calls fail: the database lacks something that this program needs.",
		sentence(r.Schema) + " The README of shared/postgres/migrations describes database-service migrate.",
	}
}

func (r Readiness) redis(address string) readyPart {
	lacks, answers := strings.CutPrefix(r.Redis, "the cache is off: ")
	switch {
	case r.Redis == "ok":
		return readyPart{"Redis", isOK, "Redis answers, and can be the cache.", ""}
	case r.Redis == "off":
		return readyPart{
			"Redis", attention, "The service uses no Redis, because REDIS_URL is off. Every read goes to PostgreSQL.",
			"Nothing, if PostgreSQL can carry the load. Otherwise set REDIS_URL.",
		}
	case answers:
		return readyPart{
			"Redis", notOK, "Redis answers, but it cannot be the cache. The service stays ready: every read goes to PostgreSQL, which has more load.",
			sentence(lacks) + " The README of local lists what the cache needs.",
		}
	}
	return readyPart{
		"Redis", notOK, "Redis does not answer. The service stays ready, and no answer is wrong: every read goes to PostgreSQL, which has more load.",
		"Check REDIS_URL (" + address + "), that the server there runs, and the network from this machine. Do not restart this service: it uses Redis again as soon as Redis answers.",
	}
}

func (r Readiness) callers(count int) readyPart {
	if r.Callers == "any" {
		return readyPart{
			"Callers", attention, "Any caller that reaches the port has all rights, because CALLERS_FILE is not set. This is right only for a developer's own data.",
			"Set CALLERS_FILE, and give each caller the smallest role that works. The README of shared/callers says how.",
		}
	}
	return readyPart{"Callers", isOK, "Only the callers in CALLERS_FILE are served (" + strconv.Itoa(count) + "). Each has the rights of its roles.", ""}
}

func (r Readiness) warning() readyPart {
	if r.Warning == "" {
		return readyPart{"Warning", isOK, "There is none.", ""}
	}
	return readyPart{"Warning", attention, "Calls work, but the database needs its operator soon.", sentence(r.Warning)}
}

// sentence returns the text of an error with a capital letter and a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}
