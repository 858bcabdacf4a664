package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// cause is why a gateway answers by itself.
type cause int

const (
	accepted       cause = iota
	abandoned            // nobody is there to be answered
	noRoute              // no function is there for the path
	badRequest           // not HTTP, or a WebSocket, which no function can have
	headerTooLarge       // names and values
	bodyTooLarge         // the request
	functionFailed       // the function, or its answer makes no sense
	overloaded           // as many run as may
	badBase64            // the answer of the function says that it is base64
	gaveUp               // the gateway's own time
)

// refusal is the gateway's own answer.
type refusal struct {
	status    int
	kind      string // in GatewayResponses
	errorType string // x-amzn-ErrorType of a REST API
	body      string
}

func (k Gateway) refusal(c cause) refusal {
	switch k {
	case RESTAPI:
		return restRefusal(c)
	case ALB, ALBMulti:
		return albRefusal(c)
	case FunctionURL:
		switch c {
		case functionFailed, badBase64, gaveUp:
			return refusal{status: http.StatusBadGateway, body: "Internal Server Error"}
		case overloaded:
			return refusal{status: http.StatusTooManyRequests, body: `{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","Message":"Rate Exceeded."}`}
		}
	}
	r := refusal{status: http.StatusInternalServerError}
	switch c {
	case noRoute:
		r.status = http.StatusNotFound
	case badRequest:
		r.status = http.StatusBadRequest
	case headerTooLarge:
		r.status = http.StatusRequestHeaderFieldsTooLarge
	case bodyTooLarge:
		r.status = http.StatusRequestEntityTooLarge
	case gaveUp, overloaded:
		r.status = http.StatusServiceUnavailable
	}
	r.body = `{"message":"` + http.StatusText(r.status) + `"}`
	return r
}

// restRefusal has the texts of the REST API with their own spaces.
func restRefusal(c cause) refusal {
	switch c {
	case noRoute:
		return refusal{http.StatusForbidden, "MISSING_AUTHENTICATION_TOKEN", "MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`}
	case badRequest:
		return refusal{http.StatusBadRequest, "DEFAULT_4XX", "BadRequestException", `{"message":"Bad Request"}`}
	case headerTooLarge:
		return refusal{http.StatusRequestHeaderFieldsTooLarge, "DEFAULT_4XX", "RequestEntityTooLargeException", `{"message":"HTTP header is larger than 10240 bytes."}`}
	case bodyTooLarge:
		return refusal{http.StatusRequestEntityTooLarge, "REQUEST_TOO_LARGE", "RequestEntityTooLargeException", `{"message":"HTTP content length exceeded 10485760 bytes."}`}
	case gaveUp:
		return refusal{http.StatusGatewayTimeout, "INTEGRATION_TIMEOUT", "InternalServerErrorException", `{"message": "Endpoint request timed out"}`}
	case badBase64, overloaded:
		return refusal{http.StatusInternalServerError, "API_CONFIGURATION_ERROR", "InternalServerErrorException", `{"message": "Internal server error"}`}
	}
	return refusal{http.StatusBadGateway, "DEFAULT_5XX", "InternalServerErrorException", `{"message": "Internal server error"}`}
}

func albRefusal(c cause) refusal {
	r := refusal{status: http.StatusBadGateway}
	title := "502 Bad Gateway"
	switch c {
	case noRoute:
		r.status, title = http.StatusNotFound, "404 Not Found"
	case badRequest, headerTooLarge:
		r.status, title = http.StatusBadRequest, "400 Bad Request"
	case bodyTooLarge:
		r.status, title = http.StatusRequestEntityTooLarge, "413 Request Entity Too Large"
	case gaveUp:
		r.status, title = http.StatusGatewayTimeout, "504 Gateway Time-out"
	}
	r.body = "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"
	return r
}

// refuse answers for the gateway.
func (g *gateway) refuse(a *arrival, c cause, w http.ResponseWriter) {
	r := a.kind.refusal(c)
	header := http.Header{"Content-Type": {"application/json"}}
	switch a.kind {
	case RESTAPI:
		header.Set("X-Amzn-Errortype", r.errorType)
		g.shape(a, &r, header)
	case ALB, ALBMulti:
		header = http.Header{"Content-Type": {"text/html"}, "Server": {"awselb/2.0"}}
	}
	a.write(answer{status: r.status, header: header, body: []byte(r.body)}, w)
}

// shape is what GatewayResponses do to a refusal.
func (g *gateway) shape(a *arrival, r *refusal, header http.Header) {
	own, ok := g.responses[r.kind]
	if !ok {
		own = g.responses[fmt.Sprintf("DEFAULT_%dXX", r.status/100)]
	}
	var text struct{ Message string }
	_ = json.Unmarshal([]byte(r.body), &text) // the texts above parse
	quoted, _ := json.Marshal(text.Message)
	if own.status != 0 {
		r.status = own.status
	}
	for name, value := range own.headers {
		header.Set(name, value)
	}
	if own.body != "" {
		r.body = strings.NewReplacer(
			"$context.error.messageString", string(quoted), "$context.error.message", text.Message,
			"$context.error.responseType", r.kind, "$context.requestId", a.requestID,
		).Replace(own.body)
	}
}
