package systemtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/shared/request"
)

// outcomes are those that clients saw.
type outcomes struct {
	protocol request.Protocol
	matrix   *matrix // nil: the protocols are not compared

	mu       sync.Mutex
	seen     map[outcome]bool
	scenario string // that is played; empty: the steps of this one are not the same each time
}

// outcomesOf are all that a reply is.
func outcomesOf(rpc string, r reply) []outcome {
	f := faultOf(r.err)
	all := []outcome{{rpc: rpc, fault: f}}
	if e, ok := errors.AsType[twirp.Error](r.err); ok && f.reason == "ARGUMENT" {
		all = append(all, outcome{rpc, f, e.Meta("argument")})
	}
	if r.err == nil {
		m := r.answer.ProtoReflect()
		for form := range goodForms(m.Descriptor(), m) {
			all = append(all, outcome{rpc: rpc, detail: form})
		}
	}
	return all
}

func (o *outcomes) note(rpc string, r reply) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, one := range outcomesOf(rpc, r) {
		o.seen[one] = true
	}
}

// begin says which scenario the calls are of from now on.
func (o *outcomes) begin(scenario string) {
	o.mu.Lock()
	o.scenario = scenario
	o.mu.Unlock()
	if o.matrix != nil {
		o.matrix.begin(scenario, o.protocol)
	}
}

// watch notes the outcomes of a client. Where protocols are compared it makes a call that had no effect by the other protocols, too.
func (o *outcomes) watch(others map[request.Protocol]*clients) twirp.Interceptor {
	return func(next twirp.Method) twirp.Method {
		return func(ctx context.Context, request any) (any, error) {
			rpc, _ := twirp.MethodName(ctx)
			start := time.Now()
			answer, err := next(ctx, request)
			first := reply{err: err}
			if err == nil {
				first.answer = answer.(proto.Message)
			}
			o.note(rpc, first)
			switch {
			case o.matrix == nil:
			case err != nil || strings.HasPrefix(rpc, "Get"):
				o.matrix.repeat(repeated{rpc, o.protocol, first, start}, others, func(c *clients) reply { return c.call(ctx, request) })
			default:
				o.matrix.write(o.scenario, o.protocol, taken{rpc, first})
			}
			return answer, err
		}
	}
}

// clients of the services at url, by the protocol of the store.
func (o *outcomes) clients(t testing.TB, url string, interceptors ...twirp.Interceptor) *clients {
	t.Helper()
	watch := o.watch(o.others(t, url, interceptors...))
	return dial(t, url, o.protocol, append([]twirp.Interceptor{watch}, interceptors...)...)
}

// others are clients by the other protocols, where they are compared.
func (o *outcomes) others(t testing.TB, url string, interceptors ...twirp.Interceptor) map[request.Protocol]*clients {
	t.Helper()
	all := map[request.Protocol]*clients{}
	for _, protocol := range protocols {
		if protocol != o.protocol && o.matrix != nil {
			all[protocol] = dial(t, url, protocol, interceptors...)
		}
	}
	return all
}

// compare fails the test for what was promised and not seen, and for what was seen and not promised.
func (o *outcomes) compare(t testing.TB, promised map[outcome]bool) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	var wrong []string
	covered := map[outcome]bool{} // a code that is promised without a reason comes with any
	for seen := range o.seen {
		covered[seen] = true
		any := outcome{rpc: seen.rpc, fault: fault{seen.code, ""}}
		covered[any] = true
		if seen.detail == "" && !promised[seen] && !promised[any] {
			wrong = append(wrong, fmt.Sprintf("%s answered %v, which its comment does not name", seen.rpc, seen.fault))
		}
	}
	for p := range promised {
		if !covered[p] {
			wrong = append(wrong, fmt.Sprintf("%s: no scenario saw %v %s", p.rpc, p.fault, p.detail))
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		t.Errorf("outcomes and contract differ:\n%s", strings.Join(wrong, "\n"))
	}
}
