package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

func TestEmulatorMetrics(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	p := startEmulator(t, append(outside(e), "EMBEDDED_METRICS=true"))
	p.wantMetrics(t, &p.stdout, user)
	off := startEmulator(t, outside(e))
	off.wantAlice(t, user)
	if out := off.stdout.String() + off.stderr.String(); strings.Contains(out, `"_aws"`) {
		t.Errorf("without EMBEDDED_METRICS it wrote %s", out)
	}
	wrong := runToEnd(t, 1, append(outside(e), "EMBEDDED_METRICS=yes"), append([]string{"emulator"}, templateFlag...)...)
	wantText(t, &wrong.stderr, "EMBEDDED_METRICS is not one of false, true")
}

func (p *program) wantAlice(t *testing.T, user string) {
	t.Helper()
	eventually(t, "an answer in time", func() bool {
		code, answer := p.post(t, "UserService/GetUser", `{"user_id":"`+user+`"}`)
		return code == http.StatusOK && at(answer, "user", "id") == user
	})
}

// wantMetrics makes a request and waits for its line of metrics in the functions' output. The line has the same request
// id as the log's line and Lambda's report.
func (p *program) wantMetrics(t *testing.T, out fmt.Stringer, user string) {
	t.Helper()
	p.wantAlice(t, user)
	eventually(t, "a line of metrics, one of the request, and a report, with one id", func() bool {
		metrics, requests := map[string]bool{}, map[string]bool{}
		for raw := range strings.Lines(out.String() + p.stderr.String()) {
			var l struct {
				AWS      *struct{ CloudWatchMetrics []any } `json:"_aws"`
				Msg, RPC string
				Code     string `json:"Code"`
				ID       string `json:"Request"`
				Requests int
			}
			_, text, ok := strings.Cut(raw, "{")
			if !ok || json.Unmarshal([]byte("{"+text), &l) != nil {
				continue
			}
			switch {
			case l.AWS != nil && len(l.AWS.CloudWatchMetrics) > 1 && l.RPC == "UserService/GetUser" && l.Code == "ok" && l.Requests == 1:
				metrics[l.ID] = true
			case l.Msg == "request" && l.Code == "ok":
				requests[l.ID] = true
			}
		}
		for id := range metrics {
			if requests[id] && strings.Contains(out.String()+p.stderr.String(), "REPORT RequestId: "+id) {
				return true
			}
		}
		return false
	})
}
