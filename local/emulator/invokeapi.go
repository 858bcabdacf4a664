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

	"github.com/osirose-new/database-service/local/emulator/runtime"
	"github.com/osirose-new/database-service/local/emulator/template"
)

const (
	functionsPath = "/2015-03-31/functions"
	// Limits of the Invoke API, in bytes.
	maxSyncPayload   = template.MaxRequest
	maxEventPayload  = 1 << 20
	maxClientContext = 3583
	// maxEvents is how many asynchronous events may wait or run, including retries.
	maxEvents = 1000
)

// apiError is an error of the Invoke API itself.
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
	_ = json.NewEncoder(w).Encode(v) // fails only if the client has left
}

var tooMany = apiError{http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded."}

// serveInvokeAPI serves Invoke and ListFunctions of Lambda's API.
func (e *Emulator) serveInvokeAPI(w http.ResponseWriter, r *http.Request) {
	id := runtime.NewID()
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
		apiError{http.StatusNotImplemented, "UnknownOperationException", "the emulator supports only Invoke and ListFunctions"}.write(w)
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
	in := runtime.Invocation{RequestID: id, ClientContext: r.Header.Get("X-Amz-Client-Context")}
	if bad := checkClientContext(in.ClientContext); bad != nil {
		return bad
	}
	if in.Payload, bad = readPayload(r, kind); bad != nil {
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

// serveRequestResponse waits for the function. A client that leaves does not stop it.
func (e *Emulator) serveRequestResponse(w http.ResponseWriter, r *http.Request, f *function, in runtime.Invocation) *apiError {
	e.save(f.settings.ID, in.Payload)
	result := f.run(context.WithoutCancel(r.Context()), in, SourceInvoke)
	if result.Throttled {
		return &tooMany
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amz-Executed-Version", "$LATEST")
	if result.Failed {
		h.Set("X-Amz-Function-Error", "Unhandled")
	}
	if r.Header.Get("X-Amz-Log-Type") == "Tail" {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(result.Log))
	}
	_, _ = w.Write(result.Payload) // fails only if the client has left
	return nil
}

// serveEvent responds, then runs the function. If that fails, it retries as often as the template says; at once, while Lambda
// waits minutes.
func (e *Emulator) serveEvent(w http.ResponseWriter, f *function, in runtime.Invocation) *apiError {
	if !e.backlog.begin() {
		return &tooMany
	}
	e.save(f.settings.ID, in.Payload)
	in.Async = true
	go func() {
		defer e.backlog.end()
		for try := 0; ; try++ {
			result := f.run(context.Background(), in, SourceInvoke)
			if !result.Failed {
				return
			}
			e.log.Warn("an event failed", "function", f.settings.ID, "requestId", in.RequestID, "try", try+1, "answer", string(result.Payload))
			if try == f.settings.Retries {
				return
			}
		}
	}()
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// functionPattern matches a name, a part of an ARN and a whole ARN, each with or without a qualifier.
var functionPattern = regexp.MustCompile(`^(?:(?:arn:aws[a-z-]*:lambda:[a-z0-9-]+:)?(?:\d{12}:)?function:|\d{12}:)?([A-Za-z0-9_.-]+)(?::([$A-Za-z0-9_-]+))?$`)

// functionNamed finds a function by logical id, FunctionName or folder. There is one version, so it ignores the qualifier.
func (e *Emulator) functionNamed(name, qualifier string) (*function, *apiError) {
	part := functionPattern.FindStringSubmatch(name)
	if part == nil {
		return nil, &apiError{http.StatusBadRequest, "ValidationException", fmt.Sprintf("%q is not a valid function name", name)}
	}
	if part[2] != "" && qualifier != "" && part[2] != qualifier {
		return nil, &apiError{http.StatusBadRequest, "InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier."}
	}
	if f := e.state.Load().byName[part[1]]; f != nil {
		return f, nil
	}
	return nil, &apiError{http.StatusNotFound, "ResourceNotFoundException", "Function not found: arn:aws:lambda:" + template.Region(e.options.Environ) + ":" + template.Account + ":function:" + part[1]}
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
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 100<<20)) // so that the client reads the refusal while it writes
		return nil, tooLargeFor(kind, limit)
	case len(payload) == 0:
		payload = []byte("{}")
	case !json.Valid(payload):
		return nil, &apiError{http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json: " + jsonProblem(payload)}
	}
	return payload, nil
}

// tooLargeFor uses the code that Lambda sends. Its documentation names another one, RequestTooLargeException.
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

// serveList serves ListFunctions, with the fields that the template determines.
func (e *Emulator) serveList(w http.ResponseWriter) {
	list := []map[string]any{}
	for _, f := range e.state.Load().functions {
		s := f.settings
		list = append(list, map[string]any{
			"FunctionName": s.Name, "FunctionArn": s.ARN, "Handler": s.Handler, "Runtime": "provided.al2023",
			"Timeout": int(s.Timeout.Seconds()), "MemorySize": s.Memory, "Version": "$LATEST",
		})
	}
	writeJSON(w, http.StatusOK, map[string]any{"Functions": list})
}
