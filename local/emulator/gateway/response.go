package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// response is the HTTP response of a function or of a gateway.
type response struct {
	status int
	header http.Header
	body   []byte
}

// document is what a function returns, in all forms.
type document struct {
	Status       json.RawMessage              `json:"statusCode"`
	Description  *string                      `json:"statusDescription"`
	Headers      map[string]json.RawMessage   `json:"headers"`
	MultiHeaders map[string][]json.RawMessage `json:"multiValueHeaders"`
	Cookies      []string                     `json:"cookies"`
	Body         json.RawMessage              `json:"body"`
	Base64       bool                         `json:"isBase64Encoded"`
}

var (
	errMalformed = errors.New("the function's response document is malformed")
	errBase64    = errors.New("the body of the function's response document is not base64")
)

// decode turns what the function returned into an HTTP response.
func (req *request) decode(payload []byte, binaryTypes []string) (response, reason) {
	binary := req.kind != RESTAPI || matches(req.header.Get("Accept"), binaryTypes)
	made, err := req.kind.response(payload, binary)
	switch {
	case errors.Is(err, errBase64):
		return response{}, badBase64
	case err != nil:
		return response{}, functionFailed
	}
	return made, none
}

// response reads a document. binary says that the client of a REST API accepts a binary body.
func (k Kind) response(payload []byte, binary bool) (made response, err error) {
	switch k {
	case RESTAPI:
		made, err = responseV1(payload, binary)
	case ALB, ALBMulti:
		made, err = responseALB(payload, k == ALBMulti)
	default:
		made, err = responseV2(payload, k == FunctionURL)
	}
	if err != nil {
		return response{}, err
	}
	for name, values := range made.header {
		for _, value := range values {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
				return response{}, fmt.Errorf("%w: header %q", errMalformed, name)
			}
		}
	}
	return made, nil
}

// responseV2 takes a document without a status for the body of a 200.
func responseV2(payload []byte, functionURL bool) (response, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(payload, &object) != nil || object["statusCode"] == nil {
		return inferred(payload), nil
	}
	d, made, err := parseDocument(payload)
	if err != nil {
		return response{}, err
	}
	for name, raw := range d.Headers {
		value, err := scalar(raw)
		if err != nil {
			return response{}, err
		}
		made.header.Add(name, value)
	}
	for _, c := range d.Cookies {
		made.header.Add("Set-Cookie", c)
	}
	if made.header.Get("Content-Type") == "" {
		made.header.Set("Content-Type", "text/plain; charset=utf-8")
		if functionURL {
			made.header.Set("Content-Type", "application/json")
		}
	}
	made.body, err = d.body(d.Base64)
	return made, err
}

// inferred returns the response for a bare value. A string loses its quotes.
func inferred(payload []byte) response {
	var text string
	if json.Unmarshal(payload, &text) == nil && len(payload) > 0 && payload[0] == '"' {
		payload = []byte(text)
	}
	return response{http.StatusOK, http.Header{"Content-Type": {"application/json"}}, payload}
}

// responseV1 decodes base64 only for clients that accept a binary type; the others get the base64 text.
func responseV1(payload []byte, binary bool) (response, error) {
	if err := knownV1(payload); err != nil {
		return response{}, err
	}
	d, made, err := parseDocument(payload)
	if err != nil {
		return response{}, err
	}
	if err := d.strings(made.header); err != nil {
		return response{}, err
	}
	if err := d.lists(made.header); err != nil {
		return response{}, err
	}
	if made.header.Get("Content-Type") == "" {
		made.header.Set("Content-Type", "application/json")
	}
	made.body, err = d.body(d.Base64 && binary)
	return made, err
}

// knownV1 refuses a document with a field that the REST API does not know. AWS calls it a malformed proxy response.
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

// responseALB reads only the form of headers that the target group is configured for.
func responseALB(payload []byte, multi bool) (response, error) {
	d, made, err := parseDocument(payload)
	if err != nil {
		return response{}, err
	}
	if len(d.Status) == 0 {
		return response{}, errMalformed
	}
	if multi {
		err = d.lists(made.header)
	} else {
		err = d.strings(made.header)
	}
	if err != nil {
		return response{}, err
	}
	if made.header.Get("Content-Type") == "" {
		made.header.Set("Content-Type", "application/octet-stream")
	}
	made.body, err = d.body(d.Base64)
	if errors.Is(err, errBase64) {
		return response{}, errMalformed
	}
	return made, err
}

// parseDocument reads the fields. A missing status is 200; only responseV1 accepts that.
func parseDocument(payload []byte) (document, response, error) {
	var d document
	if err := json.Unmarshal(payload, &d); err != nil {
		return d, response{}, errMalformed
	}
	status := http.StatusOK
	if len(d.Status) > 0 {
		// A string is not a number, and 1xx is not a final response.
		if err := json.Unmarshal(d.Status, &status); err != nil || status < 200 || status > 599 {
			return d, response{}, fmt.Errorf("%w: status %s", errMalformed, d.Status)
		}
	}
	return d, response{status: status, header: http.Header{}}, nil
}

// strings adds the headers with one value to h.
func (d document) strings(h http.Header) error {
	for name, raw := range d.Headers {
		if err := addText(h, name, raw); err != nil {
			return err
		}
	}
	return nil
}

// lists adds the headers with many values to h. They replace those with one value.
func (d document) lists(h http.Header) error {
	for name, list := range d.MultiHeaders {
		h.Del(name)
		for _, raw := range list {
			if err := addText(h, name, raw); err != nil {
				return err
			}
		}
	}
	return nil
}

func addText(h http.Header, name string, raw json.RawMessage) error {
	var value string
	if err := json.Unmarshal(raw, &value); err != nil || raw[0] != '"' {
		return fmt.Errorf("%w: header %q", errMalformed, name)
	}
	h.Add(name, value)
	return nil
}

// scalar returns a header's value, which for the HTTP API may be a number or a boolean.
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

// body returns the body; decode says that it is base64.
func (d document) body(decode bool) ([]byte, error) {
	var text *string
	if len(d.Body) > 0 {
		if err := json.Unmarshal(d.Body, &text); err != nil {
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
