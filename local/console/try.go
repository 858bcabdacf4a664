package console

import (
	"net/http"
	"strings"

	"github.com/osirose-new/database-service/local/calls"
	"github.com/osirose-new/database-service/local/emulator"
	"github.com/osirose-new/database-service/shared/request"
)

// tryPage is the content of the page that calls an rpc.
type tryPage struct {
	RPCs      []calls.RPC
	RPC       string
	Form      calls.Form
	Values    map[string]string
	Protocol  request.Protocol
	Protocols []request.Protocol
	Gateway   emulator.Gateway
	Gateways  []emulator.Gateway // of the emulator
	Result    *calls.Result
	JSON      string // the request
	Snippets  calls.Snippets
}

var gateways = []emulator.Gateway{emulator.HTTPAPI, emulator.RESTAPI, emulator.FunctionURL, emulator.ALB, emulator.ALBMulti}

// sender returns what sends requests. In the emulator they go through a gateway.
func (v *visit) sender(gateway emulator.Gateway) calls.Sender {
	to := v.console.RPC
	if v.console.Emulator != nil {
		to = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Emulator-Gateway", string(gateway))
			v.console.RPC.ServeHTTP(w, r)
		})
	}
	return calls.Sender{HTTP: to, GRPC: v.console.GRPC}
}

// readForm reads the form.
func (v *visit) readForm() (*tryPage, error) {
	t := &tryPage{RPCs: calls.RPCs(), RPC: v.FormValue("rpc"), Protocol: request.Protocol(v.FormValue("protocol")), Gateway: emulator.Gateway(v.FormValue("gateway")), Values: map[string]string{}}
	if v.console.Emulator != nil {
		t.Gateways = gateways
	}
	t.Protocols = v.sender("").Protocols()
	if t.RPC == "" {
		return t, nil
	}
	var err error
	if t.Form, err = calls.FormOf(t.RPC); err != nil {
		t.RPC = ""
		return t, err
	}
	for _, f := range t.Form.Fields {
		t.Values[f.Name] = v.FormValue("field." + f.Name)
	}
	return t, nil
}

func (t *tryPage) page() answer {
	return answer{template: "try", frame: frame{Title: "Call an rpc", Section: "calls", Content: t}}
}

// try shows the form. The parameter again names a recorded call, whose request fills the form.
func (v *visit) try() (answer, error) {
	t, err := v.readForm()
	if err != nil {
		return t.page(), err
	}
	if n := number(v.FormValue("again")); n > 0 {
		d, ok := v.console.Calls.Get(uint64(n))
		if !ok {
			return t.page(), errNoCall
		}
		t.Protocol = d.Protocol
		if t.Values, err = calls.Values(t.RPC, []byte(d.Request.Text)); err != nil {
			return t.page(), err
		}
	}
	return t.page(), nil
}

// send calls the rpc with the values of the form.
func (v *visit) send() (answer, error) {
	t, err := v.readForm()
	if err != nil || t.RPC == "" {
		return t.page(), err
	}
	given := map[string]string{}
	for name, value := range t.Values {
		if strings.TrimSpace(value) != "" {
			given[name] = value
		}
	}
	body, err := calls.Build(t.RPC, given)
	if err != nil {
		return t.page(), err
	}
	t.JSON = indent(body)
	if t.Snippets, err = v.snippets(t.RPC, body, t.Gateway); err != nil {
		return t.page(), err
	}
	result, err := v.sender(t.Gateway).Send(v.ctx(), calls.Request{RPC: t.RPC, Protocol: t.Protocol, JSON: body})
	if err != nil {
		return t.page(), err
	}
	t.Result = &result
	return t.page(), nil
}
