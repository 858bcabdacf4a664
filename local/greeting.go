package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/osirose-new/database-service/shared/config"
)

// greeting is the text on stdout when the service has started.
type greeting struct {
	url      string
	admin    string // empty: no admin address
	database string // its address
	redis    string // its address, or off
	backends *backends
	note     string
	keyed    bool // callers need an identity
}

func (g greeting) print(w io.Writer) {
	fmt.Fprintf(w, "\nosirose database-service listens at %s\n\n", g.url)
	token := g.printBackends(w)
	if g.admin != "" {
		fmt.Fprintf(w, "  Console     %s/console/\n", g.admin)
		fmt.Fprintf(w, "  Metrics     %s/metrics\n", g.admin)
	}
	if g.note != "" {
		fmt.Fprintf(w, "\n%s\n", g.note)
	}
	fmt.Fprintf(w, "\nTry:\n  %s\n\n", curl(g.url, token, g.keyed))
}

// printBackends returns a token to try, or a placeholder.
func (g greeting) printBackends(w io.Writer) (token string) {
	b := g.backends
	if b.postgres == nil {
		fmt.Fprintf(w, "  PostgreSQL  at %s\n", g.database)
	} else {
		fmt.Fprintf(w, "  PostgreSQL  %s, embedded, at %s, %s\n", b.postgres.Version(), g.database, b.kept())
		fmt.Fprintf(w, "              psql '%s'\n", b.postgres.URL(databaseName))
	}
	switch {
	case g.redis == config.RedisOff:
		fmt.Fprintln(w, "  Redis       off: every read goes to PostgreSQL")
	case b.redis == nil:
		fmt.Fprintf(w, "  Redis       at %s\n", g.redis)
	default:
		fmt.Fprintf(w, "  Redis       embedded (miniredis), at %s\n", g.redis)
	}
	if b.demo.token == "" {
		return "TOKEN"
	}
	fmt.Fprintln(w, "  Users       alice, bob and carol, who is banned")
	fmt.Fprintf(w, "  Token       %s (a session of alice)\n", b.demo.token)
	return b.demo.token
}

func (b *backends) kept() string {
	if b.data == "" {
		return "data is removed at the end (-data DIR keeps it)"
	}
	dir, err := filepath.Abs(b.data)
	if err != nil {
		dir = b.data
	}
	return "data is kept in " + dir
}

// curl returns a line for a shell. With TLS the line does not check the certificate, which is self-signed or for another
// name than 127.0.0.1.
func curl(url, token string, keyed bool) string {
	trust := ""
	if strings.HasPrefix(url, "https:") {
		trust = "-k "
	}
	if keyed {
		trust += "-H 'Authorization: Bearer KEY' "
	}
	return fmt.Sprintf(`curl -s %s-H 'Content-Type: application/json' -d '{"token":"%s"}' %s/twirp/osirose.database.v1.UserService/GetUserBySession`, trust, token, url)
}
