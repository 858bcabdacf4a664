package characters

import (
	"math"
	"strconv"
	"strings"
)

// jsonb reads documents in the form in which PostgreSQL prints jsonb: one space after a colon and a comma, and the keys of an
// object by length, then by bytes. So an object never has a key twice. After anything else jsonb is bad and reads nothing
// more.
//
// It reads less than protojson does, and never differently: [decode] gives a bad document to protojson.
type jsonb struct {
	in  string
	at  int
	bad bool
}

// take skips text if it comes next.
func (j *jsonb) take(text string) bool {
	if j.bad || !strings.HasPrefix(j.in[j.at:], text) {
		return false
	}
	j.at += len(text)
	return true
}

func (j *jsonb) expect(text string) {
	if !j.take(text) {
		j.bad = true
	}
}

// end reports whether all of the document was read.
func (j *jsonb) end() bool { return !j.bad && j.at == len(j.in) }

// first begins an object and returns its first key. It returns "" if there is none.
func (j *jsonb) first() string {
	j.expect("{")
	if j.take("}") {
		return ""
	}
	return j.key("")
}

// next returns the key after previous, and "" at the end of the object.
func (j *jsonb) next(previous string) string {
	if j.take("}") {
		return ""
	}
	j.expect(", ")
	return j.key(previous)
}

func (j *jsonb) key(previous string) string {
	key := j.quoted()
	j.expect(": ")
	if len(key) < len(previous) || len(key) == len(previous) && key <= previous {
		j.bad = true // also the empty key, which is no field
	}
	if j.bad {
		return ""
	}
	return key
}

// quoted reads up to the next quote. The result is a part of the document.
func (j *jsonb) quoted() string {
	j.expect(`"`)
	n := strings.IndexByte(j.in[j.at:], '"')
	if j.bad || n < 0 {
		j.bad = true
		return ""
	}
	s := j.in[j.at : j.at+n]
	j.at += n + 1
	return s
}

// string reads a string of ASCII without an escape.
func (j *jsonb) string(to *string) {
	*to = j.quoted()
	for i := range len(*to) {
		if c := (*to)[i]; c < ' ' || c > '~' || c == '\\' {
			j.bad = true
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// digits skips digits, at least one, and returns their value if they are at most 19.
func (j *jsonb) digits() (n uint64) {
	start := j.at
	for ; j.at < len(j.in) && isDigit(j.in[j.at]); j.at++ {
		n = n*10 + uint64(j.in[j.at]-'0')
	}
	if j.at == start {
		j.bad = true
	}
	return n
}

// integer reads digits without a leading zero, perhaps after a minus.
func (j *jsonb) integer() int64 {
	minus := j.take("-")
	start := j.at
	n := j.digits()
	length, limit := j.at-start, uint64(math.MaxInt64)
	if minus {
		limit++
	}
	if j.bad || length > 19 || n > limit || j.in[start] == '0' && (length > 1 || minus) {
		j.bad = true
		return 0
	}
	if minus {
		return int64(-n)
	}
	return int64(n)
}

func (j *jsonb) int32(to *int32) {
	n := j.integer()
	*to = int32(n)
	if int64(*to) != n {
		j.bad = true
	}
}

// int64 reads a number, or a number in a string, which is how protobuf's JSON writes 64 bits.
func (j *jsonb) int64(to *int64) {
	quoted := j.take(`"`)
	*to = j.integer()
	if quoted {
		j.expect(`"`)
	}
}

// double reads a number without an exponent.
func (j *jsonb) double(to *float64) {
	start := j.at
	j.take("-")
	whole := j.at
	j.digits()
	if !j.bad && j.in[whole] == '0' && j.at-whole > 1 {
		j.bad = true
	}
	if j.take(".") {
		j.digits()
	}
	if j.bad {
		return
	}
	var err error
	*to, err = strconv.ParseFloat(j.in[start:j.at], 64)
	j.bad = err != nil
}

func (j *jsonb) bool(to *bool) {
	if *to = j.take("true"); !*to {
		j.expect("false")
	}
}

// list reads an array of objects. The objects are one allocation.
func list[T any](j *jsonb, to *[]*T, read func(*jsonb, *T)) {
	j.expect("[")
	if j.take("]") {
		return
	}
	end := strings.IndexByte(j.in[j.at:], ']')
	if j.bad || end < 0 {
		j.bad = true
		return
	}
	n := strings.Count(j.in[j.at:j.at+end], "{") // exact, since the objects have no arrays; bad, if not
	objects := make([]T, n)
	all := make([]*T, 0, n)
	for more := true; more && !j.bad; more = j.take(", ") {
		if len(all) == n {
			j.bad = true
			return
		}
		object := &objects[len(all)]
		read(j, object)
		all = append(all, object)
	}
	j.expect("]")
	*to = all
}
