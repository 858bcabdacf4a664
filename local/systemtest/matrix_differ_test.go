package systemtest_test

import (
	"errors"
	"regexp"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// publicError is everything in an error that a caller can see.
type publicError struct {
	Code twirp.ErrorCode
	Msg  string
	Meta map[string]string
}

func publicErrorOf(err error) publicError {
	e, ok := errors.AsType[twirp.Error](err)
	switch {
	case err == nil:
		return publicError{}
	case !ok:
		return publicError{Msg: "not Twirp's: " + err.Error()}
	}
	t := publicError{e.Code(), e.Msg(), map[string]string{}}
	for name, value := range e.MetaMap() {
		if name == "request_id" {
			value = "" // differs between requests
		}
		t.Meta[name] = value
	}
	return t
}

func (t publicError) error() twirp.Error {
	e := twirp.NewError(t.Code, t.Msg)
	for name, value := range t.Meta {
		e = e.WithMeta(name, value)
	}
	return e
}

// asProtobuf returns an error of the protocol as Twirp's protobuf reports it. The message of a decoding error names the format.
// For an unknown route only the code and the reason are the same in each protocol.
func (t publicError) asProtobuf() publicError {
	switch t.Code {
	case twirp.Malformed:
		t.Msg = strings.Replace(t.Msg, "the json request", "the protobuf request", 1)
	case twirp.BadRoute:
		t.Msg = ""
		delete(t.Meta, "twirp_invalid_route")
	}
	return t
}

// differ describes how two replies to one call differ. It is empty if they are equal. Countdowns may differ by slack seconds.
func differ(a, b reply, slack int64) string {
	if d := cmp.Diff(publicErrorOf(a.err).asProtobuf(), publicErrorOf(b.err).asProtobuf()); d != "" {
		return d
	}
	if a.err != nil || proto.Equal(a.answer, b.answer) {
		return ""
	}
	counted := cmp.Comparer(func(x, y int64) bool { return max(x-y, y-x) <= slack })
	return cmp.Diff(a.answer, b.answer, protocmp.Transform(),
		protocmp.FilterField(&databasev1.Session{}, "expires_in_seconds", counted),
		protocmp.FilterField(&databasev1.Character{}, "seconds_until_deletion", counted))
}

var number = regexp.MustCompile(`[0-9]+`)

// anonymous returns an answer without ids, numbers in texts, and times, which differ between stores.
func anonymous(answer proto.Message) proto.Message {
	answer = proto.Clone(answer)
	_ = protorange.Range(answer.ProtoReflect(), func(p protopath.Values) error { // no step fails
		m, ok := p.Index(-1).Value.Interface().(protoreflect.Message)
		if !ok {
			return nil
		}
		if at, ok := m.Interface().(*timestamppb.Timestamp); ok {
			at.Seconds, at.Nanos = 1, 0
			return nil
		}
		if s, ok := m.Interface().(*structpb.Struct); ok {
			for name := range s.Fields {
				if strings.HasSuffix(name, "_id") {
					s.Fields[name] = structpb.NewStringValue("#")
				}
			}
		}
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			isID := strings.HasSuffix(string(f.Name()), "id")
			switch {
			case isID && f.Kind() == protoreflect.StringKind:
				m.Set(f, protoreflect.ValueOfString("#"))
			case isID && f.Kind() == protoreflect.Int64Kind:
				m.Set(f, protoreflect.ValueOfInt64(1))
			case f.Kind() == protoreflect.StringKind && !f.IsList():
				m.Set(f, protoreflect.ValueOfString(number.ReplaceAllString(v.String(), "#")))
			case strings.Contains(string(f.Name()), "seconds") && f.Name() != "play_seconds":
				m.Set(f, protoreflect.ValueOfInt64(1))
			}
			return true
		})
		return nil
	})
	return answer
}
