package rpcserver_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/osirose-new/database-service/shared/testenv"
)

// placeholder replaces bytes in a message that protobuf's encoder refuses.
const placeholder, invalidUTF8 = "PLACEHOLDER", "\xff\xfe\xc3\x28\xf0\x28\x8c\x28xyz"

// bad is a request with one wrong field.
type bad struct {
	what     string
	message  proto.Message
	replace  bool            // placeholder by invalidUTF8
	code     twirp.ErrorCode // empty: any error of the caller
	argument string
	canary   string // must not be in the answer
}

// badRequests puts invalid values into each field of a request; if deep is set, into nested fields too.
func badRequests(t testing.TB, valid func(testing.TB) proto.Message, deep bool) []bad {
	t.Helper()
	var all []bad
	var walk func(d protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor)
	walk = func(d protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor) {
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			path := append(slices.Clip(path), f)
			if m := f.Message(); m != nil {
				if deep && m.ParentFile().Package() == d.ParentFile().Package() { // TestDeepStruct checks Struct
					walk(m, path)
				}
				continue
			}
			argument, top := string(path[0].Name()), len(path) == 1
			add := func(v any, refused bool, canary string) {
				b := bad{what: fmt.Sprintf("%s = %.40q", f.FullName(), fmt.Sprint(v)), message: with(valid(t), path, protoreflect.ValueOf(v)), canary: canary}
				if refused {
					b.code, b.argument = twirp.InvalidArgument, argument
				}
				if v == placeholder {
					b.what, b.replace, b.code, b.argument = string(f.FullName())+" = invalid UTF-8", true, twirp.Malformed, ""
				}
				all = append(all, b)
			}
			switch f.Kind() {
			case protoreflect.StringKind:
				long := strings.Repeat("long", 2000)
				add(long, true, long[:100])
				add("canary\x00canary", true, "canary")
				add(placeholder, true, "xyz")
				uuid := strings.HasSuffix(string(f.Name()), "request_id") || f.Name() == "save_id" || f.Name() == "uid"
				for _, s := range []string{"not-a-uuid-at-all", "00000000-0000-4000-8000-00000000000g", "{0000000-0000-4000-8000-000000000000}"} {
					add(s, uuid, s)
				}
				for _, s := range []string{"'; DROP TABLE x; --", "%00%ff%zz", "99999999999999999999", "-1", "0", "1e5", "\u202e\ufeff\U0010ffff", "İıſK", strings.Repeat("y", 256)} {
					add(s, false, "")
				}
			case protoreflect.Int32Kind:
				add(int32(-1), top, "")
				add(int32(math.MinInt32), top, "")
				add(int32(math.MaxInt32), false, "")
			case protoreflect.Int64Kind:
				add(int64(-1), top, "")
				add(int64(math.MinInt64), top, "")
				add(int64(math.MaxInt64), false, "")
			case protoreflect.EnumKind:
				add(protoreflect.EnumNumber(99), true, "")
				add(protoreflect.EnumNumber(-1), true, "")
			case protoreflect.DoubleKind:
				for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
					add(v, true, "")
				}
				add(math.MaxFloat64, false, "")
			case protoreflect.BoolKind:
			default:
				t.Fatalf("%s: no bad values for its kind; add some", f.FullName())
			}
		}
	}
	walk(valid(t).ProtoReflect().Descriptor(), nil)
	return all
}

// with sets the field at a path in m. Lists on the path get an element.
func with(m proto.Message, path []protoreflect.FieldDescriptor, v protoreflect.Value) proto.Message {
	r := m.ProtoReflect()
	for _, f := range path[:len(path)-1] {
		if f.IsList() {
			r = r.Mutable(f).List().AppendMutable().Message()
		} else {
			r = r.Mutable(f).Message()
		}
	}
	r.Set(path[len(path)-1], v)
	return m
}

// TestInput sends to each rpc, on each variant of the schema, invalid values in each field.
func TestInput(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		for name, m := range methods(t, e, serveAll(t, io.Discard, e.Program)) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for _, b := range badRequests(t, m.valid, e.Variant == testenv.Variants[0]) { // documents are the same in all variants
					for contentType, body := range encode(t, b.message) {
						if b.replace {
							body = strings.ReplaceAll(body, placeholder, invalidUTF8)
						}
						call := fmt.Sprintf("%s (%s): %s", name, contentType, b.what)
						a := post(t, m.path, contentType, body)
						if b.code != "" && (a.Code != b.code || a.Meta["argument"] != b.argument || b.argument != "" && a.Meta["reason"] == "") {
							t.Errorf("%s = %v, want %s, argument %q and a reason", call, a, b.code, b.argument)
						}
						if a.Status >= http.StatusInternalServerError {
							t.Errorf("%s = %v, want an error of the caller", call, a)
						}
						if b.canary != "" {
							wantNoLeak(t, call, a, b.canary)
						}
						wantNoLeak(t, call, a)
					}
				}
			})
		}
	})
}
