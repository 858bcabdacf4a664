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

// results records what clients received.
type results struct {
	protocol request.Protocol
	matrix   *matrix // nil: the protocols are not compared

	mu       sync.Mutex
	seen     map[result]bool
	scenario string // the current one; empty if its steps differ from run to run
}

// resultsOf returns all results that a reply counts as.
func resultsOf(rpc string, r reply) []result {
	f := faultOf(r.err)
	all := []result{{rpc: rpc, fault: f}}
	if e, ok := errors.AsType[twirp.Error](r.err); ok && f.reason == "ARGUMENT" {
		all = append(all, result{rpc, f, e.Meta("argument")})
	}
	if r.err == nil {
		m := r.answer.ProtoReflect()
		for form := range goodForms(m.Descriptor(), m) {
			all = append(all, result{rpc: rpc, detail: form})
		}
	}
	return all
}

func (o *results) note(rpc string, r reply) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, one := range resultsOf(rpc, r) {
		if !one.isOfTheClient() {
			o.seen[one] = true
		}
	}
}

// isOfTheClient reports whether f is not an answer: gRPC's client gave up by itself.
func (f fault) isOfTheClient() bool {
	return f == fault{code: twirp.DeadlineExceeded} || f == fault{code: twirp.Canceled}
}

// begin sets the scenario of the next calls.
func (o *results) begin(scenario string) {
	o.mu.Lock()
	o.scenario = scenario
	o.mu.Unlock()
	if o.matrix != nil {
		o.matrix.begin(scenario, o.protocol)
	}
}

// watch records the results of a client. If protocols are compared, it repeats each call that changed nothing by the other
// protocols.
func (o *results) watch(others map[request.Protocol]*clients) twirp.Interceptor {
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

// clients returns clients of the services at url by the protocol of the store.
func (o *results) clients(t testing.TB, url string, interceptors ...twirp.Interceptor) *clients {
	t.Helper()
	watch := o.watch(o.others(t, url, interceptors...))
	return dial(t, url, o.protocol, append([]twirp.Interceptor{watch}, interceptors...)...)
}

// others returns clients by the other protocols if they are compared.
func (o *results) others(t testing.TB, url string, interceptors ...twirp.Interceptor) map[request.Protocol]*clients {
	t.Helper()
	all := map[request.Protocol]*clients{}
	for _, protocol := range protocols {
		if protocol != o.protocol && o.matrix != nil {
			all[protocol] = dial(t, url, protocol, interceptors...)
		}
	}
	return all
}

// compare fails the test for each result that was promised and not seen, or seen and not promised.
func (o *results) compare(t testing.TB, promised map[result]bool) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	var wrong []string
	covered := map[result]bool{} // a code that is promised without a reason may have any
	for seen := range o.seen {
		covered[seen] = true
		any := result{rpc: seen.rpc, fault: fault{seen.code, ""}}
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
		t.Errorf("results and contract differ:\n%s", strings.Join(wrong, "\n"))
	}
}
