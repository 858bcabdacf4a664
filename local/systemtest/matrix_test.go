package systemtest_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/request"
)

// matrix compares the answers of the protocols. A call that changed nothing is repeated by the other protocols. A call that
// changed something is compared with the same step of the same scenario by another protocol on another store.
type matrix struct {
	mu        sync.Mutex
	compared  map[result]map[request.Protocol]int // how often the other protocols gave the same result
	steps     map[string]map[request.Protocol][]taken
	different []string
}

// taken is a successful call of a scenario that may have changed something.
type taken struct {
	rpc string
	reply
}

func newMatrix() *matrix {
	return &matrix{compared: map[result]map[request.Protocol]int{}, steps: map[string]map[request.Protocol][]taken{}}
}

// begin deletes the recorded steps of the scenario.
func (m *matrix) begin(scenario string, protocol request.Protocol) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.steps[scenario] == nil {
		m.steps[scenario] = map[request.Protocol][]taken{}
	}
	m.steps[scenario][protocol] = nil
}

func (m *matrix) write(scenario string, protocol request.Protocol, s taken) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if scenario != "" {
		m.steps[scenario][protocol] = append(m.steps[scenario][protocol], s)
	}
}

// repeated is a call that the other protocols repeat.
type repeated struct {
	rpc      string
	protocol request.Protocol
	first    reply
	start    time.Time
}

// patience is the maximum number of calls if a protocol is too slow.
const patience = 100

// repeat makes the call of r by the other protocols and compares the replies.
func (m *matrix) repeat(r repeated, others map[request.Protocol]*clients, again func(*clients) reply) {
	if faultOf(r.first.err).isOfTheClient() {
		return
	}
	for protocol, c := range others {
		var d string
		var isOther bool
		for range patience {
			second := again(c)
			d = differ(r.first, second, 1+int64(time.Since(r.start)/time.Second))
			isOther = faultOf(second.err) != faultOf(r.first.err)
			if d == "" || !isOther || !transient(second.err) {
				break
			}
			time.Sleep(10 * time.Millisecond) // the machine is busy
		}
		if d != "" && isOther && transient(r.first.err) {
			return // the fault has ended. check reports results that were never compared
		}
		if d != "" {
			m.report("%s (-%s +%s):\n%s", r.rpc, r.protocol, protocol, d)
			return
		}
	}
	m.count(r.rpc, r.protocol, r.first)
}

// transient reports whether another try may have another result.
func transient(err error) bool {
	switch faultOf(err).code {
	case twirp.Unavailable, twirp.DeadlineExceeded, twirp.ResourceExhausted:
		return true
	}
	return false
}

// repeatIfBusy repeats a call until its error is the right one, or one that no busy machine causes.
func repeatIfBusy(call func() error, right func(error) bool) error {
	err := call()
	for i := 1; i < patience && !right(err) && transient(err); i++ {
		time.Sleep(10 * time.Millisecond)
		err = call()
	}
	return err
}

func (m *matrix) report(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.different = append(m.different, fmt.Sprintf(format, args...))
}

func (m *matrix) count(rpc string, protocol request.Protocol, r reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := resultsOf(rpc, r)
	if of := all[0]; of.reason != "" {
		all = append(all, result{rpc: rpc, fault: fault{of.code, ""}}) // a code that is promised without a reason may have any
	}
	for _, o := range all {
		if m.compared[o] == nil {
			m.compared[o] = map[request.Protocol]int{}
		}
		m.compared[o][protocol]++
	}
}

// compareSteps compares the recorded steps of the protocols.
func (m *matrix) compareSteps() {
	m.mu.Lock()
	steps := maps.Clone(m.steps)
	m.mu.Unlock()
	for scenario, by := range steps {
		first := protocols[0]
		same := true
		for _, protocol := range protocols[1:] {
			if d := differentSteps(by[first], by[protocol]); d != "" {
				m.report("%s (-%s +%s):\n%s", scenario, first, protocol, d)
				same = false
			}
		}
		for protocol, played := range by {
			for _, s := range played {
				if same {
					m.count(s.rpc, protocol, s.reply)
				}
			}
		}
	}
}

func differentSteps(a, b []taken) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d calls succeeded, and %d", len(a), len(b))
	}
	for i := range a {
		if a[i].rpc != b[i].rpc {
			return fmt.Sprintf("call %d is %s, and %s", i, a[i].rpc, b[i].rpc)
		}
		if d := differ(reply{answer: anonymous(a[i].answer)}, reply{answer: anonymous(b[i].answer)}, 0); d != "" {
			return fmt.Sprintf("call %d, %s: %s", i, a[i].rpc, d)
		}
	}
	return ""
}

// check fails the test if protocols differ, or were not compared in a promised result.
func (m *matrix) check(t testing.TB, promised map[result]bool) {
	t.Helper()
	m.compareSteps()
	m.mu.Lock()
	defer m.mu.Unlock()
	const most = 20
	slices.Sort(m.different)
	if n := len(m.different); n > 0 {
		t.Errorf("%d times the protocols differ:\n%s", n, strings.Join(m.different[:min(n, most)], "\n"))
	}
	var missing []string
	for o := range promised {
		for _, protocol := range protocols {
			if m.compared[o][protocol] == 0 {
				missing = append(missing, fmt.Sprintf("%s: %v %s by %s was not compared with the other protocols", o.rpc, o.fault, o.detail, protocol))
			}
		}
	}
	slices.Sort(missing)
	if n := len(missing); n > 0 {
		t.Errorf("the matrix lacks %d comparisons:\n%s", n, strings.Join(missing[:min(n, most)], "\n"))
	}
}

// table has a line for each result: how often each protocol was equal to the others.
func (m *matrix) table(promised map[result]bool) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	byName := func(a, b result) int {
		return cmp.Or(cmp.Compare(a.rpc, b.rpc), cmp.Compare(a.code, b.code), cmp.Compare(a.reason, b.reason), cmp.Compare(a.detail, b.detail))
	}
	fmt.Fprintf(&b, "%d results by %d protocols\n%-66s", len(promised), len(protocols), "")
	for _, protocol := range protocols {
		fmt.Fprintf(&b, " %9s", protocol)
	}
	for _, o := range slices.SortedFunc(maps.Keys(promised), byName) {
		code := cmp.Or(string(o.code), "ok")
		fmt.Fprintf(&b, "\n%-66s", strings.Join(strings.Fields(o.rpc+" "+code+" "+o.reason+" "+o.detail), " "))
		for _, protocol := range protocols {
			fmt.Fprintf(&b, " %9d", m.compared[o][protocol])
		}
	}
	return b.String()
}
