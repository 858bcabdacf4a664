package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/osirose-new/database-service/local/calls"
	"github.com/osirose-new/database-service/local/emulator"
)

const (
	errNoEvent    pageError = "The event is not kept any more: the emulator keeps the last 200, and fewer if they are large."
	errNoFunction pageError = "The template has no such function."
)

// emulatorPages adds the pages of the emulator.
func (c *Console) emulatorPages(mux *http.ServeMux) {
	if c.Emulator == nil {
		return
	}
	mux.Handle("GET "+Path+"/emulator", c.page(0, (*visit).emulator))
	mux.Handle("GET "+Path+"/emulator/function", c.page(0, (*visit).function))
	mux.Handle("GET "+Path+"/emulator/event", c.page(0, (*visit).event))
	mux.Handle("POST "+Path+"/emulator/replay", patient(c.page(0, (*visit).replay)))
}

// patient lets an answer take as long as a function may run.
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Time{}) // it fails only in tests, which have no connection
		_ = c.SetWriteDeadline(time.Time{})
		next.ServeHTTP(w, r)
	})
}

const (
	shownEvents = 50
	rpcPrefix   = "/twirp/osirose.database.v1."
)

// emulatorPage is the content of the page of the emulator.
type emulatorPage struct {
	emulator.Inspection
	Events []event // the newest first
}

// event is an invocation with what its gateway's request and answer say.
type event struct {
	emulator.Invocation
	RPC, Protocol string
	Status        int
	Code, Reason  string // of an error
	Problem       string // why there is no answer
}

func (v *visit) emulator() (answer, error) {
	s := emulatorPage{Inspection: v.console.Emulator.Inspect()}
	all := v.console.Emulator.Invocations()
	for _, each := range slices.Backward(all[max(0, len(all)-shownEvents):]) {
		e, _ := describe(each)
		s.Events = append(s.Events, e)
	}
	return answer{template: "emulator", frame: frame{Title: "Emulator", Section: "emulator", Content: s}}, nil
}

// describe reads the request and the answer of an event. An event of no gateway has none.
func describe(i emulator.Invocation) (event, emulator.Exchange) {
	e := event{Invocation: i}
	x, err := i.HTTP()
	switch {
	case errors.Is(err, emulator.ErrEventNotKept):
		e.RPC = "too large to show"
		return e, x
	case err != nil:
		e.RPC = "no HTTP request"
		return e, x
	}
	e.RPC = strings.TrimPrefix(x.Request.Path, rpcPrefix)
	e.Protocol = strings.TrimPrefix(x.Request.ContentType, "application/")
	e.Status, e.Problem = x.Response.Status, x.Problem
	if e.Status >= http.StatusBadRequest {
		e.Code, e.Reason = errorOf(x.Response.Body)
	}
	return e, x
}

// errorOf reads a Twirp error.
func errorOf(body []byte) (code, reason string) {
	var e struct {
		Code string
		Meta struct{ Reason string }
	}
	if json.Unmarshal(body, &e) != nil {
		return "", ""
	}
	return e.Code, e.Meta.Reason
}

// function shows one function.
func (v *visit) function() (answer, error) {
	for _, f := range v.console.Emulator.Inspect().Functions {
		if f.ID == v.FormValue("id") {
			slices.Reverse(f.Errors)
			return answer{template: "function", frame: frame{Title: f.ID, Section: "emulator", Content: f}}, nil
		}
	}
	return answer{}, errNoFunction
}

// eventPage is the content of the page of one event.
type eventPage struct {
	event
	Request, Answer  string // decoded
	Document, Output string // the event and the function's response, as JSON
	LogText          string
}

func (v *visit) event() (answer, error) {
	i, ok := v.console.Emulator.Invocation(number(v.FormValue("number")))
	if !ok {
		return answer{}, errNoEvent
	}
	e, x := describe(i)
	o := eventPage{event: e, Document: indent(i.Event), Output: indent(i.Response), LogText: string(i.Log)}
	o.Request = readable(x.Request.Path, x.Request.ContentType, x.Request.Body, false)
	o.Answer = readable(x.Request.Path, x.Response.ContentType, x.Response.Body, true)
	return answer{template: "event", frame: frame{Title: "Event " + strconv.FormatInt(i.Number, 10), Section: "emulator", Content: o}}, nil
}

// readable returns the body of an event's request or answer as JSON.
func readable(path, contentType string, body []byte, answer bool) string {
	if !strings.HasPrefix(contentType, "application/protobuf") {
		return indent(body)
	}
	text, err := calls.Decode(strings.TrimPrefix(path, rpcPrefix), body, answer)
	if err != nil {
		return "It cannot be decoded: " + err.Error()
	}
	return text
}

// replay invokes the function again with the same event.
func (v *visit) replay() (answer, error) {
	i, err := v.console.Emulator.Replay(v.Context(), number(v.PostFormValue("number")))
	if err != nil {
		return answer{}, err
	}
	return redirect("emulator/event", url.Values{"number": {strconv.FormatInt(i.Number, 10)}})
}
