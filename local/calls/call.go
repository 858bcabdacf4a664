package calls

import (
	"bytes"
	"encoding/hex"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Call is a recorded request without its content.
type Call struct {
	Number        uint64 // 1, 2, ...: the order in which the requests ended
	Start         time.Time
	Took          time.Duration
	request.Class        // "ok" is the code of a request without an error
	Reason        string // meta.reason of the error
	Caller        string // as the log names it
	Agent         string // the program that User-Agent names
	ID            string // of the request, as in the log
}

// Detail is a recorded request. Without Options.Payloads it has nothing more than Call, and of Meta what names a field or a right.
type Detail struct {
	Call
	Message string            // of the error
	Meta    map[string]string // of the error

	Request, Answer Payload
	// Body is the body of an HTTP request that did not become a message. A body that is not UTF-8 is shown in hexadecimal.
	Body Payload
}

// Payload is the content of a message, or of a body.
type Payload struct {
	Text     string // JSON of a message; empty if there is none
	Bytes    int    // the size of the message in protobuf, or that of the body
	TooLarge bool   // it is larger than MaxPayload, so it was not kept
}

// Filter selects calls. An empty field selects all calls.
type Filter struct {
	RPC        string // a part of UserService/GetUser, in any case
	Code       twirp.ErrorCode
	Caller     string // a part of the name, in any case
	Protocol   request.Protocol
	OnlyErrors bool
	MinMS      float64 // the shortest duration in milliseconds
}

func (f Filter) has(c Call) bool {
	part := func(of, text string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(of)) }
	return part(f.RPC, c.RPC()) && part(f.Caller, c.Caller) &&
		(f.Code == "" || f.Code == c.Code) && (f.Protocol == "" || f.Protocol == c.Protocol) &&
		(!f.OnlyErrors || c.Code != "ok") && float64(c.Took) >= f.MinMS*float64(time.Millisecond)
}

// kept is a call in the memory of the recorder. Its messages are encoded: other requests may share the originals, and a pointer to a
// request of gRPC would keep its whole stream in memory.
type kept struct {
	Call
	message               string
	meta                  map[string]string
	request, answer, body content
}

// content is an encoded message, or a body.
type content struct {
	data []byte // nil: there is none, or it is too large
	size int
}

// maxMessage is the length in bytes of the part of an error's message, or of a value of its meta, that is kept. bad_route repeats the
// caller's path in both.
const maxMessage = 4 << 10

// keep returns what the recorder keeps of a request.
func keep(f rpcserver.Finished, payloads bool) *kept {
	k := &kept{Call: Call{Start: f.Start, Took: f.Took, Class: f.Class, Reason: f.Reason, Caller: f.Caller, Agent: f.Agent, ID: f.ID}}
	if !payloads {
		k.keepNames(f.Error)
		return k
	}
	if f.Error != nil {
		k.message, k.meta = cut(f.Error.Msg()), maps.Clone(f.Error.MetaMap())
		for name, value := range k.meta {
			k.meta[name] = cut(value)
		}
	}
	k.request, k.answer = encode(f.Request), encode(f.Answer)
	if k.body.size = len(f.Body); k.body.size <= MaxPayload {
		k.body.data = bytes.Clone(f.Body)
	}
	return k
}

// keepNames keeps the meta that names a field or a right. These names are not content of the request.
func (k *kept) keepNames(err twirp.Error) {
	if err == nil {
		return
	}
	for _, name := range []string{"argument", "missing_right"} {
		if value := err.Meta(name); value != "" {
			k.meta = map[string]string{name: value} // no error has both
		}
	}
}

// cut returns the beginning of a long text.
func cut(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + "..."
}

// encode encodes a message. It computes the size first, so that a message that is too large is not encoded.
func encode(m proto.Message) content {
	if m == nil {
		return content{}
	}
	c := content{size: proto.Size(m)}
	if c.size <= MaxPayload {
		c.data, _ = proto.MarshalOptions{}.MarshalAppend(make([]byte, 0, c.size), m) // fails only for text that is not UTF-8
	}
	return c
}

// bytes returns the size of what is kept of the content.
func (k *kept) bytes() int {
	n := len(k.message) + len(k.request.data) + len(k.answer.data) + len(k.body.data)
	for name, value := range k.meta {
		n += len(name) + len(value)
	}
	return n
}

// detail decodes the content.
func (k *kept) detail() Detail {
	d := Detail{Call: k.Call, Message: k.message, Meta: maps.Clone(k.meta)}
	if m, err := find(k.RPC()); err == nil {
		d.Request, d.Answer = k.request.decode(m, false), k.answer.decode(m, true)
	}
	d.Body = k.body.payload()
	if d.Body.Text = string(k.body.data); !utf8.Valid(k.body.data) {
		d.Body.Text = hex.Dump(k.body.data)
	}
	return d
}

func (c content) payload() Payload { return Payload{Bytes: c.size, TooLarge: c.size > MaxPayload} }

func (c content) decode(m method, answer bool) Payload {
	p := c.payload()
	if c.data != nil {
		p.Text, _ = m.decode(c.data, answer) // fails only for text that is not UTF-8
	}
	return p
}
