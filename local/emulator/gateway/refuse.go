package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// reason is why a gateway refuses a request, that is, responds without the function's document.
type reason int

const (
	none           reason = iota // not refused
	clientLeft                   // no response is sent
	noRoute                      // no function has the path
	badRequest                   // not HTTP, or a WebSocket, which no function can serve
	headerTooLarge               // names and values
	bodyTooLarge                 // of the request
	functionFailed               // or its document is malformed
	throttled                    // too many invocations run and wait
	badBase64                    // the body of the document is not base64, but should be
	timedOut                     // the gateway's own timeout
)

// refusal is the gateway's own response.
type refusal struct {
	status       int
	responseType string // key of GatewayResponses
	errorType    string // x-amzn-ErrorType of a REST API
	body         string
}

func (k Kind) refusal(c reason) refusal {
	switch k {
	case RESTAPI:
		return restRefusal(c)
	case ALB, ALBMulti:
		return albRefusal(c)
	case FunctionURL:
		switch c {
		case functionFailed, badBase64, timedOut:
			return refusal{status: http.StatusBadGateway, body: "Internal Server Error"}
		case throttled:
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
	case timedOut, throttled:
		r.status = http.StatusServiceUnavailable
	}
	r.body = `{"message":"` + http.StatusText(r.status) + `"}`
	return r
}

// restRefusal returns the texts of the REST API, spaces included.
func restRefusal(c reason) refusal {
	switch c {
	case noRoute:
		return refusal{http.StatusForbidden, "MISSING_AUTHENTICATION_TOKEN", "MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`}
	case badRequest:
		return refusal{http.StatusBadRequest, "DEFAULT_4XX", "BadRequestException", `{"message":"Bad Request"}`}
	case headerTooLarge:
		return refusal{http.StatusRequestHeaderFieldsTooLarge, "DEFAULT_4XX", "RequestEntityTooLargeException", `{"message":"HTTP header is larger than 10240 bytes."}`}
	case bodyTooLarge:
		return refusal{http.StatusRequestEntityTooLarge, "REQUEST_TOO_LARGE", "RequestEntityTooLargeException", `{"message":"HTTP content length exceeded 10485760 bytes."}`}
	case timedOut:
		return refusal{http.StatusGatewayTimeout, "INTEGRATION_TIMEOUT", "InternalServerErrorException", `{"message": "Endpoint request timed out"}`}
	case badBase64, throttled:
		return refusal{http.StatusInternalServerError, "API_CONFIGURATION_ERROR", "InternalServerErrorException", `{"message": "Internal server error"}`}
	}
	return refusal{http.StatusBadGateway, "DEFAULT_5XX", "InternalServerErrorException", `{"message": "Internal server error"}`}
}

func albRefusal(c reason) refusal {
	r := refusal{status: http.StatusBadGateway}
	title := "502 Bad Gateway"
	switch c {
	case noRoute:
		r.status, title = http.StatusNotFound, "404 Not Found"
	case badRequest, headerTooLarge:
		r.status, title = http.StatusBadRequest, "400 Bad Request"
	case bodyTooLarge:
		r.status, title = http.StatusRequestEntityTooLarge, "413 Request Entity Too Large"
	case timedOut:
		r.status, title = http.StatusGatewayTimeout, "504 Gateway Time-out"
	}
	r.body = "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"
	return r
}

// refuse sends the gateway's own response.
func (h *handler) refuse(req *request, c reason, w http.ResponseWriter) {
	r := req.kind.refusal(c)
	header := http.Header{"Content-Type": {"application/json"}}
	switch req.kind {
	case RESTAPI:
		header.Set("X-Amzn-Errortype", r.errorType)
		h.shape(req, &r, header)
	case ALB, ALBMulti:
		header = http.Header{"Content-Type": {"text/html"}, "Server": {"awselb/2.0"}}
	}
	req.write(response{status: r.status, header: header, body: []byte(r.body)}, w)
}

// shape applies GatewayResponses to a refusal.
func (h *handler) shape(req *request, r *refusal, header http.Header) {
	own, ok := h.Responses[r.responseType]
	if !ok {
		own = h.Responses[fmt.Sprintf("DEFAULT_%dXX", r.status/100)]
	}
	var text struct{ Message string }
	_ = json.Unmarshal([]byte(r.body), &text) // the texts above are valid JSON
	quoted, _ := json.Marshal(text.Message)
	if own.Status != 0 {
		r.status = own.Status
	}
	for name, value := range own.Headers {
		header.Set(name, value)
	}
	if own.Body != "" {
		r.body = strings.NewReplacer(
			"$context.error.messageString", string(quoted), "$context.error.message", text.Message,
			"$context.error.responseType", r.responseType, "$context.requestId", req.requestID,
		).Replace(own.Body)
	}
}
