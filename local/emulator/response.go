package emulator

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// answer is the HTTP response of a function or of a gateway.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// result is what functions return, in all forms.
type result struct {
	Status       json.RawMessage              `json:"statusCode"`
	Description  *string                      `json:"statusDescription"`
	Headers      map[string]json.RawMessage   `json:"headers"`
	MultiHeaders map[string][]json.RawMessage `json:"multiValueHeaders"`
	Cookies      []string                     `json:"cookies"`
	Body         json.RawMessage              `json:"body"`
	Base64       bool                         `json:"isBase64Encoded"`
}

var (
	errMalformed = errors.New("the answer of the function is malformed")
	errBase64    = errors.New("the body that the function answers is not base64")
)

// decode makes an HTTP response of what the function returned.
func (a *arrival) decode(payload []byte, binaryTypes []string) (answer, cause) {
	var made answer
	var err error
	switch a.kind {
	case RESTAPI:
		made, err = answerV1(payload, matches(a.header.Get("Accept"), binaryTypes))
	case ALB, ALBMulti:
		made, err = answerALB(payload, a.kind == ALBMulti)
	default:
		made, err = a.answerV2(payload)
	}
	switch {
	case errors.Is(err, errBase64):
		return answer{}, badBase64
	case err != nil:
		return answer{}, functionFailed
	}
	for name, values := range made.header {
		for _, value := range values {
			if !validHeader(name, value) {
				return answer{}, functionFailed
			}
		}
	}
	return made, accepted
}

// answerV2 takes what has no status for the body of a 200.
func (a *arrival) answerV2(payload []byte) (answer, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(payload, &object) != nil || object["statusCode"] == nil {
		return inferred(payload), nil
	}
	r, made, err := parseResult(payload)
	if err != nil {
		return answer{}, err
	}
	for name, raw := range r.Headers {
		value, err := scalar(raw)
		if err != nil {
			return answer{}, err
		}
		made.header.Add(name, value)
	}
	for _, c := range r.Cookies {
		made.header.Add("Set-Cookie", c)
	}
	if made.header.Get("Content-Type") == "" {
		made.header.Set("Content-Type", "text/plain; charset=utf-8")
		if a.kind == FunctionURL {
			made.header.Set("Content-Type", "application/json")
		}
	}
	made.body, err = r.body(r.Base64)
	return made, err
}

// inferred is a bare value: a string is sent without its quotes.
func inferred(payload []byte) answer {
	var text string
	if json.Unmarshal(payload, &text) == nil && len(payload) > 0 && payload[0] == '"' {
		payload = []byte(text)
	}
	return answer{http.StatusOK, http.Header{"Content-Type": {"application/json"}}, payload}
}

// answerV1 decodes base64 only for clients that accept a binary type; all others get the letters.
func answerV1(payload []byte, binary bool) (answer, error) {
	if err := knownV1(payload); err != nil {
		return answer{}, err
	}
	r, made, err := parseResult(payload)
	if err != nil {
		return answer{}, err
	}
	if err := r.strings(made.header); err != nil {
		return answer{}, err
	}
	if err := r.lists(made.header); err != nil {
		return answer{}, err
	}
	if made.header.Get("Content-Type") == "" {
		made.header.Set("Content-Type", "application/json")
	}
	made.body, err = r.body(r.Base64 && binary)
	return made, err
}

// knownV1 refuses what the REST API calls a malformed proxy response: a field that it does not know.
func knownV1(payload []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(payload, &object); err != nil || object == nil {
		return errMalformed
	}
	for name := range object {
		switch name {
		case "statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded":
		default:
			return fmt.Errorf("%w: field %q", errMalformed, name)
		}
	}
	return nil
}

// answerALB reads headers only in the form that the target group is set to.
func answerALB(payload []byte, multi bool) (answer, error) {
	r, made, err := parseResult(payload)
	if err != nil {
		return answer{}, err
	}
	if len(r.Status) == 0 {
		return answer{}, errMalformed
	}
	if multi {
		err = r.lists(made.header)
	} else {
		err = r.strings(made.header)
	}
	if err != nil {
		return answer{}, err
	}
	if made.header.Get("Content-Type") == "" {
		made.header.Set("Content-Type", "application/octet-stream")
	}
	made.body, err = r.body(r.Base64)
	if errors.Is(err, errBase64) {
		return answer{}, errMalformed
	}
	return made, err
}

// parseResult reads the fields. A status that is missing is 200, which only the REST API lets pass.
func parseResult(payload []byte) (result, answer, error) {
	var r result
	if err := json.Unmarshal(payload, &r); err != nil {
		return r, answer{}, errMalformed
	}
	status := http.StatusOK
	if len(r.Status) > 0 {
		// A string is no number, and 1xx is no answer.
		if err := json.Unmarshal(r.Status, &status); err != nil || status < 200 || status > 599 {
			return r, answer{}, fmt.Errorf("%w: status %s", errMalformed, r.Status)
		}
	}
	return r, answer{status: status, header: http.Header{}}, nil
}

// strings adds the headers with one value.
func (r result) strings(h http.Header) error {
	for name, raw := range r.Headers {
		var value string
		if err := json.Unmarshal(raw, &value); err != nil || raw[0] != '"' {
			return fmt.Errorf("%w: header %q", errMalformed, name)
		}
		h.Add(name, value)
	}
	return nil
}

// lists adds the headers with many values, before which those with one give way.
func (r result) lists(h http.Header) error {
	for name, list := range r.MultiHeaders {
		h.Del(name)
		for _, raw := range list {
			var value string
			if err := json.Unmarshal(raw, &value); err != nil || raw[0] != '"' {
				return fmt.Errorf("%w: header %q", errMalformed, name)
			}
			h.Add(name, value)
		}
	}
	return nil
}

// scalar is a header's value, which for the HTTP API may be a number or a boolean.
func scalar(raw json.RawMessage) (string, error) {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", errMalformed
	}
	switch v := value.(type) {
	case string:
		return v, nil
	case float64, bool:
		return string(raw), nil
	}
	return "", errMalformed
}

// body is the text of the answer, or the bytes of which it is the base64.
func (r result) body(decode bool) ([]byte, error) {
	var text *string
	if len(r.Body) > 0 {
		if err := json.Unmarshal(r.Body, &text); err != nil {
			return nil, errMalformed
		}
	}
	switch {
	case text == nil:
		return nil, nil
	case !decode:
		return []byte(*text), nil
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(*text))
	if err != nil {
		return nil, errBase64
	}
	return b, nil
}
