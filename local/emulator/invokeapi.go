package emulator

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

const (
	functionsPath = "/2015-03-31/functions"
	// Limits of the Invoke API.
	maxSyncPayload   = 6 << 20
	maxEventPayload  = 1 << 20
	maxClientContext = 3583
	// maxEvents is how many events may wait or run, retries included.
	maxEvents = 1000
)

// apiError is an answer of the Invoke API that is no function's.
type apiError struct {
	status int
	kind   string
	text   string
}

func (e apiError) write(w http.ResponseWriter) {
	body := map[string]string{"Type": "User", "Message": e.text}
	if e.status == http.StatusTooManyRequests {
		body["Reason"] = "ReservedFunctionConcurrentInvocationLimitExceeded"
	}
	w.Header().Set("X-Amzn-ErrorType", e.kind)
	writeJSON(w, e.status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever asked has gone if this fails
}

var tooMany = apiError{http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded."}

// serveInvokeAPI is the part of Lambda's own API that calls functions.
func (e *Emulator) serveInvokeAPI(w http.ResponseWriter, r *http.Request) {
	id := newID()
	w.Header().Set("X-Amzn-RequestId", id)
	rest := strings.Trim(strings.TrimPrefix(r.URL.Path, functionsPath), "/")
	name, isInvoke := strings.CutSuffix(rest, "/invocations")
	switch {
	case r.Method == http.MethodPost && isInvoke:
		if err := e.serveInvoke(w, r, id, name); err != nil {
			err.write(w)
		}
	case r.Method == http.MethodGet && rest == "":
		e.serveList(w)
	default:
		apiError{http.StatusNotImplemented, "UnknownOperationException", "the emulator has Invoke and ListFunctions only"}.write(w)
	}
}

func (e *Emulator) serveInvoke(w http.ResponseWriter, r *http.Request, id, name string) *apiError {
	kind := r.Header.Get("X-Amz-Invocation-Type")
	if kind == "" {
		kind = "RequestResponse"
	}
	f, bad := e.functionNamed(name, r.URL.Query().Get("Qualifier"))
	if bad != nil {
		return bad
	}
	in := invocation{requestID: id, clientContext: r.Header.Get("X-Amz-Client-Context")}
	if bad := checkClientContext(in.clientContext); bad != nil {
		return bad
	}
	if in.payload, bad = readPayload(r, kind); bad != nil {
		return bad
	}
	switch kind {
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
		return nil
	case "Event":
		return e.serveEvent(w, f, in)
	}
	return e.serveRequestResponse(w, r, f, in)
}

// serveRequestResponse waits for the function. A client who leaves does not stop it.
func (e *Emulator) serveRequestResponse(w http.ResponseWriter, r *http.Request, f *lambda, in invocation) *apiError {
	e.save(f.spec.id, in.payload)
	o := f.invoke(context.WithoutCancel(r.Context()), in)
	if o.throttled {
		return &tooMany
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amz-Executed-Version", "$LATEST")
	if o.failed {
		h.Set("X-Amz-Function-Error", "Unhandled")
	}
	if r.Header.Get("X-Amz-Log-Type") == "Tail" {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(o.log))
	}
	_, _ = w.Write(o.payload) // whoever asked has gone if this fails
	return nil
}

// serveEvent lets the function run later, and again where it fails, as often as the template says; but at once, where
// Lambda waits minutes.
func (e *Emulator) serveEvent(w http.ResponseWriter, f *lambda, in invocation) *apiError {
	if !e.backlog.begin() {
		return &tooMany
	}
	e.save(f.spec.id, in.payload)
	in.patient = true
	go func() {
		defer e.backlog.end()
		for try := 0; ; try++ {
			o := f.invoke(context.Background(), in)
			if !o.failed {
				return
			}
			e.host.log.Warn("an event failed", "function", f.spec.id, "requestId", in.requestID, "try", try+1, "answer", string(o.payload))
			if try == f.spec.retries {
				return
			}
		}
	}()
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// functionPattern takes a name, a part of an ARN and a whole one, each with a qualifier or without.
var functionPattern = regexp.MustCompile(`^(?:(?:arn:aws[a-z-]*:lambda:[a-z0-9-]+:)?(?:\d{12}:)?function:|\d{12}:)?([A-Za-z0-9_.-]+)(?::([$A-Za-z0-9_-]+))?$`)

// functionNamed finds a function by logical id, FunctionName or folder. Whatever the qualifier is, there is one version.
func (e *Emulator) functionNamed(name, qualifier string) (*lambda, *apiError) {
	part := functionPattern.FindStringSubmatch(name)
	if part == nil {
		return nil, &apiError{http.StatusBadRequest, "ValidationException", fmt.Sprintf("%q is not the name of a function", name)}
	}
	if part[2] != "" && qualifier != "" && part[2] != qualifier {
		return nil, &apiError{http.StatusBadRequest, "InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier."}
	}
	if f := e.state.Load().byName[part[1]]; f != nil {
		return f, nil
	}
	return nil, &apiError{http.StatusNotFound, "ResourceNotFoundException", "Function not found: arn:aws:lambda:" + e.host.region + ":" + account + ":function:" + part[1]}
}

func readPayload(r *http.Request, kind string) ([]byte, *apiError) {
	limit := maxSyncPayload
	if kind == "Event" {
		limit = maxEventPayload
	}
	if kind != "Event" && kind != "RequestResponse" && kind != "DryRun" {
		return nil, &apiError{http.StatusBadRequest, "InvalidParameterValueException", fmt.Sprintf("%q is not an invocation type", kind)}
	}
	payload, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, &apiError{http.StatusBadRequest, "InvalidRequestContentException", "the request body ended early"}
	case len(payload) > limit:
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 100<<20)) // so that the client reads why, while it writes
		return nil, tooLargeFor(kind, limit)
	case len(payload) == 0:
		payload = []byte("{}")
	case !json.Valid(payload):
		return nil, &apiError{http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json: " + jsonProblem(payload)}
	}
	return payload, nil
}

// tooLargeFor has the code that Lambda sends, which is not the one in its documentation: RequestTooLargeException.
func tooLargeFor(kind string, limit int) *apiError {
	text := fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit)
	if kind == "Event" {
		text = fmt.Sprintf("payload is too large for the Event invocation type (limit %d bytes)", limit)
	}
	return &apiError{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", text}
}

func jsonProblem(text []byte) string {
	var v any
	return json.Unmarshal(text, &v).Error()
}

func checkClientContext(text string) *apiError {
	decoded, err := base64.StdEncoding.DecodeString(text)
	if text != "" && (err != nil || !json.Valid(decoded) || len(text) > maxClientContext) {
		return &apiError{http.StatusBadRequest, "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object."}
	}
	return nil
}

// serveList is ListFunctions, with what is known.
func (e *Emulator) serveList(w http.ResponseWriter) {
	list := []map[string]any{}
	for _, f := range e.state.Load().functions {
		s := f.spec
		list = append(list, map[string]any{
			"FunctionName": s.name, "FunctionArn": s.arn, "Handler": s.handler, "Runtime": "provided.al2023",
			"Timeout": int(s.timeout.Seconds()), "MemorySize": s.memory, "Version": "$LATEST",
		})
	}
	writeJSON(w, http.StatusOK, map[string]any{"Functions": list})
}
