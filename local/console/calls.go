package console

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/local/calls"
	"github.com/osirose-new/database-service/local/emulator"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/request"
)

const errNoCall pageError = "The call is not kept any more: the console keeps the last 500, and fewer if they are large."

func hasCalls(c *Console) bool { return c.Calls != nil }

// callPages adds the pages of calls.
func (c *Console) callPages(mux *http.ServeMux) {
	if !hasCalls(c) {
		return
	}
	mux.Handle("GET "+Path+"/calls", c.page(callers.Metrics, (*visit).calls))
	mux.Handle("GET "+Path+"/call", c.page(callers.Metrics, (*visit).call))
	if c.Open {
		mux.Handle("GET "+Path+"/try", c.page(0, (*visit).try))
		mux.Handle("POST "+Path+"/try", patient(c.page(0, (*visit).send)))
	}
}

const shownCalls = 100

// callsPage is the content of the page with the last calls.
type callsPage struct {
	calls.Filter
	Slow      string // milliseconds, as typed
	Own       bool   // show the console's own calls
	Calls     []calls.Call
	Found     int  // also those that are not shown
	Elsewhere bool // the emulator's functions are processes, so the recorder does not see their calls
	Payloads  bool
	CanTry    bool
}

func (v *visit) calls() (answer, error) {
	v.console.Calls.Look()
	l := callsPage{
		Filter: calls.Filter{
			RPC: strings.TrimSpace(v.FormValue("rpc")), Code: twirp.ErrorCode(strings.TrimSpace(v.FormValue("code"))),
			Caller: strings.TrimSpace(v.FormValue("caller")), Protocol: request.Protocol(v.FormValue("protocol")), OnlyErrors: v.FormValue("errors") != "",
		},
		Slow: strings.TrimSpace(v.FormValue("ms")), Own: v.FormValue("own") != "", Payloads: v.console.Calls.Payloads(), CanTry: v.console.Open,
		Elsewhere: v.console.Emulator != nil && slices.ContainsFunc(v.console.Emulator.Inspect().Functions, func(f emulator.FunctionStatus) bool { return !f.InProcess }),
	}
	l.MinMS, _ = strconv.ParseFloat(l.Slow, 64) // 0 if it is not a number: selects all
	for _, call := range v.console.Calls.List(l.Filter) {
		if l.Own || call.Agent != calls.Agent {
			if l.Found++; l.Found <= shownCalls {
				l.Calls = append(l.Calls, call)
			}
		}
	}
	return answer{template: "calls", frame: frame{Title: "Calls", Section: "calls", Content: l}}, nil
}

// callPage is the content of the page of one call.
type callPage struct {
	calls.Detail
	RPC      string
	About    []string // what the contract says about the error
	Anchor   string   // of the rpc in the API reference
	Payloads bool
	CanTry   bool
	Snippets calls.Snippets
}

func (v *visit) call() (answer, error) {
	d, ok := v.console.Calls.Get(uint64(max(0, number(v.FormValue("number")))))
	if !ok {
		return answer{}, errNoCall
	}
	p := callPage{Detail: d, RPC: d.RPC(), Anchor: d.Method, Payloads: v.console.Calls.Payloads(), CanTry: v.console.Open}
	if d.Reason != "" {
		p.About = explain(d.Method, string(d.Code)+" "+d.Reason)
	}
	if body := cmp.Or(d.Request.Text, d.Body.Text); body != "" {
		p.Snippets, _ = v.snippets(p.RPC, []byte(body), "") // of a body that is no JSON, or of no rpc, there are none
	}
	return answer{template: "call", frame: frame{Title: "Call " + strconv.FormatUint(d.Number, 10), Section: "calls", Content: p}}, nil
}

// snippets returns texts to copy. gateway is that of the emulator; empty: its default.
func (v *visit) snippets(rpc string, body []byte, gateway emulator.Gateway) (calls.Snippets, error) {
	to := calls.Targets{Twirp: v.console.URL}
	switch {
	case v.console.Emulator == nil:
		to.GRPC = v.console.URL
	case gateway != "":
		to.Twirp += "/_gateway/" + string(gateway)
	}
	return calls.SnippetsOf(rpc, body, to)
}

// explain returns what the contract says about an error of an rpc.
func explain(method, title string) (about []string) {
	r, err := readDocument()
	if err != nil {
		return nil
	}
	for _, s := range r.Services {
		for _, one := range s.RPCs {
			if one.Name != method {
				continue
			}
			for _, p := range slices.Concat(one.Problems, r.Common) {
				if p.Title == title && p.About != "" {
					about = append(about, p.About)
				}
			}
		}
	}
	return about
}
