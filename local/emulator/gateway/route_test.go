package gateway

import (
	"net/http"
	"strings"
	"testing"
)

// TestGatewayChoice checks the ways to choose a gateway.
func TestGatewayChoice(t *testing.T) {
	t.Parallel()
	var chosen Kind
	c := Config{
		Default: ALB, Routes: everything(returning(`{"statusCode":200,"headers":{}}`)),
		Save: func(kind Kind, _ string, _ []byte) { chosen = kind },
	}
	address := serve(t, c)
	for _, test := range []struct {
		path, header string
		want         Kind // "": refused
	}{
		{"/x", "", ALB},
		{"/_gateway/v1/x", "", RESTAPI},
		{"/_gateway/v2/", "", HTTPAPI},
		{"/_gateway/alb-multi", "", ALBMulti},
		{"/x", "X-Emulator-Gateway: furl\r\n", FunctionURL},
		{"/_gateway/v1/x", "X-Emulator-Gateway: furl\r\n", RESTAPI},
		{"/_gateway/v3/x", "", ""},
		{"/x", "X-Emulator-Gateway: V2\r\n", ""},
		{"/_gatewayv1/x", "", ALB},
	} {
		chosen = ""
		r, body := exchange(t, address, "GET "+test.path+" HTTP/1.1\r\nHost: x\r\n"+test.header+"\r\n")
		if chosen != test.want || (r.StatusCode == http.StatusBadRequest) != (test.want == "") {
			t.Errorf("GET %s %s: gateway %q, %d %s; want %q", test.path, test.header, chosen, r.StatusCode, body, test.want)
		}
	}
}

// TestGatewayRoutes checks which route a request takes.
func TestGatewayRoutes(t *testing.T) {
	t.Parallel()
	var took string
	table := func(routes ...string) (list []Route) {
		for _, r := range routes {
			method, path, _ := strings.Cut(r, " ")
			list = append(list, Route{method, path, returning(`{"statusCode":200,"headers":{}}`), r})
		}
		return list
	}
	address := serve(t, Config{
		Default: HTTPAPI,
		Routes: map[Kind][]Route{
			HTTPAPI: table("POST /a/{m}", "ANY /a/{m}", "ANY /a/fix", "GET /a/fix", "ANY /b/{proxy+}", "GET /b/c/{proxy+}", "GET /", "ANY $default"),
			RESTAPI: table("POST /a/{m}", "ANY /b/{proxy+}"),
		},
		Save: func(_ Kind, name string, _ []byte) { took = name },
	})
	for _, test := range []struct{ kind, request, want string }{
		{"v2", "POST /a/x", "POST /a/{m}"},
		{"v2", "PUT /a/x", "ANY /a/{m}"},
		{"v2", "GET /a/fix", "GET /a/fix"},
		{"v2", "POST /a/fix", "ANY /a/fix"},
		{"v2", "GET /%61/fi%78", "GET /a/fix"},
		{"v2", "POST /a/x/y", "ANY $default"},
		{"v2", "POST /a/", "ANY $default"},
		{"v2", "POST /a/x/", "ANY $default"},
		{"v2", "GET /b/c/d", "GET /b/c/{proxy+}"},
		{"v2", "GET /b/", "ANY $default"},
		{"v2", "GET /", "GET /"},
		{"furl", "PUT /a/x", "ANY /a/{m}"},
		{"alb", "PUT /a/x", "ANY /a/{m}"},
		{"v1", "POST /a/x", "POST /a/{m}"},
		{"v1", "POST /a/x/", "POST /a/{m}"}, // a REST API ignores a trailing slash
		{"v1", "GET /b/c/d", "ANY /b/{proxy+}"},
		{"v1", "PUT /a/x", ""},
		{"v1", "GET /", ""},
	} {
		took = ""
		exchange(t, address, test.request+" HTTP/1.1\r\nHost: x\r\nX-Emulator-Gateway: "+test.kind+"\r\n\r\n")
		if took != test.want {
			t.Errorf("%s %s: route %q, want %q", test.kind, test.request, took, test.want)
		}
	}
}
