package boot

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// env reads variables and collects what is wrong with them. Its errors hold no values: some are secrets.
type env struct {
	get  func(string) string
	errs []error
}

func (e *env) wrong(name, what string) { e.errs = append(e.errs, errors.New(name+" "+what)) }

func (e *env) text(name, fallback string) string {
	if v := e.get(name); v != "" {
		return v
	}
	return fallback
}

// oneOf takes the first value where the variable is not set.
func (e *env) oneOf(name string, values ...string) string {
	v := e.text(name, values[0])
	if !slices.Contains(values, v) {
		e.wrong(name, "is not one of "+strings.Join(slices.DeleteFunc(values, func(s string) bool { return s == "" }), ", "))
	}
	return v
}

func (e *env) number(name string, fallback, least, most int) int {
	v := e.get(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		e.wrong(name, fmt.Sprintf("is not a number from %d to %d", least, most))
	}
	return n
}

// seconds reads a time as whole seconds ("300") or with a unit ("5m").
func (e *env) seconds(name string, fallback, least, most time.Duration) time.Duration {
	v := e.get(name)
	if v == "" {
		return fallback
	}
	if _, err := strconv.Atoi(v); err == nil {
		v += "s"
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		e.wrong(name, fmt.Sprintf("is not a time from %s to %s, as 300 (seconds) or 5m", least, most))
	}
	return d
}
