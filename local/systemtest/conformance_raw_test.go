package systemtest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// raw calls the path called with a body that no client of rpc sends.
func (f *faulty) raw(rpc, called string, bodies map[request.Protocol]string, want twirp.ErrorCode) {
	f.Helper()
	send := func(c *clients) reply { return reply{err: c.raw(f.Context(), pathOf(rpc, called), bodies[c.protocol])} }
	start := time.Now()
	own := reply{err: repeatIfBusy(func() error { return send(f.clients).err }, func(err error) bool { return faultOf(err).code == want })}
	f.seen.note(rpc, own)
	if faultOf(own.err).code != want {
		f.Errorf("%s with %.9q = %v, want %s", called, bodies[f.seen.protocol], own.err, want)
	}
	if m := f.seen.matrix; m != nil {
		m.repeat(repeated{rpc, f.seen.protocol, own, start}, f.others, send)
	}
}

// malformedBodies returns bodies that cannot be decoded: no message, text that is not UTF-8 (every rpc has a field for text), and
// too many bytes.
func malformedBodies(rpc string) []map[request.Protocol]string {
	fields, i := conformanceRPCs()[rpc].Input().Fields(), 0
	for fields.Get(i).Kind() != protoreflect.StringKind {
		i++
	}
	field, tag := fields.Get(i).JSONName(), string(protowire.AppendTag(nil, fields.Get(i).Number(), protowire.BytesType))
	bodies := func(protobuf, json string) map[request.Protocol]string {
		return map[request.Protocol]string{request.Protobuf: protobuf, request.JSON: json, request.GRPC: protobuf}
	}
	large := strings.Repeat(" ", rpcserver.MaxBody+1)
	return []map[request.Protocol]string{
		bodies("\xff", "{"), bodies(tag+"\x01\xff", `{"`+field+`":"`+"\xff"+`"}`), bodies(large, large),
	}
}

// rawHTTP sends a request that Twirp does not route.
func (f *faulty) rawHTTP(rpc, method, contentType string) {
	f.Helper()
	if f.transport == nil {
		return // gRPC has no such request
	}
	err := repeatIfBusy(func() error { return f.post(f.Context(), method, pathOf(rpc, rpc), contentType, "{}") },
		func(err error) bool { return faultOf(err).code == twirp.BadRoute })
	f.seen.note(rpc, reply{err: err})
	if faultOf(err).code != twirp.BadRoute {
		f.Errorf("%s %s of %s = %v", method, rpc, contentType, err)
	}
}

func pathOf(rpc, called string) string {
	return string(conformanceRPCs()[rpc].Parent().FullName()) + "/" + called
}

// raw returns the error of a call with that body.
func (c *clients) raw(ctx context.Context, path, body string) error {
	if c.conn == nil {
		return c.post(ctx, http.MethodPost, path, "application/"+string(c.protocol), body)
	}
	var answer []byte
	err := c.conn.Invoke(ctx, "/"+path, []byte(body), &answer, grpc.ForceCodecV2(bytesCodec{}))
	if err == nil {
		return nil
	}
	e := publicErrorOf(twirpOf(err))
	switch e.Code { // gRPC lacks Twirp's own codes
	case twirp.InvalidArgument:
		e.Code = twirp.Malformed
	case twirp.Unimplemented:
		e.Code = twirp.BadRoute
	}
	return e.error()
}

// post returns the error of an HTTP request.
func (c *clients) post(ctx context.Context, method, path, contentType, body string) error {
	r, err := http.NewRequestWithContext(ctx, method, c.url+"/twirp/"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	response, err := (&http.Client{Transport: c.transport}).Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var e publicError
	if err := json.NewDecoder(response.Body).Decode(&e); err != nil {
		return err
	}
	return e.error()
}
