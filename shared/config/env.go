package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// env reads variables and collects their errors. The errors contain no values, because some values are secrets.
type env struct {
	get  func(string) string
	errs []error
}

func (e *env) wrong(name, what string) { e.errs = append(e.errs, errors.New(name+" "+what)) }

// value returns a variable without the spaces around it.
func (e *env) value(name string) string { return strings.TrimSpace(e.get(name)) }

// secret returns the raw variable or, if it is not set, the content of the file that NAME_FILE names.
func (e *env) secret(name string) string {
	content, err := Secret(e.get, name)
	if err != nil {
		e.errs = append(e.errs, err)
	}
	return content
}

func (e *env) text(name, fallback string) string {
	if v := e.value(name); v != "" {
		return v
	}
	return fallback
}

// oneOf returns the first value if the variable is not set.
func (e *env) oneOf(name string, values ...string) string {
	v := e.text(name, values[0])
	if !slices.Contains(values, v) {
		e.wrong(name, "is not one of "+strings.Join(slices.DeleteFunc(values, func(s string) bool { return s == "" }), ", "))
	}
	return v
}

func (e *env) number(name string, fallback, least, most int) int {
	v := e.value(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		e.wrong(name, fmt.Sprintf("is not a number from %d to %d", least, most))
	}
	return n
}

// ratio checks that a variable is a number from 0 to 1, if it is set.
func (e *env) ratio(name string) {
	if v := e.value(name); v != "" {
		if n, err := strconv.ParseFloat(v, 64); err != nil || !(n >= 0 && n <= 1) {
			e.wrong(name, "is not a number from 0 to 1")
		}
	}
}

// seconds reads a duration as whole seconds ("300") or with a unit ("5m").
func (e *env) seconds(name string, fallback, least, most time.Duration) time.Duration {
	v := e.value(name)
	if v == "" {
		return fallback
	}
	if _, err := strconv.Atoi(v); err == nil {
		v += "s"
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		e.wrong(name, fmt.Sprintf("is not a duration from %s to %s, for example 300 (seconds) or 5m", least, most))
	}
	return d
}

// address reads host:port. "off" returns an empty string.
func (e *env) address(name, fallback string) string {
	v := e.text(name, fallback)
	if v == "off" {
		return ""
	}
	_, port, err := net.SplitHostPort(v)
	if n, notNumber := strconv.Atoi(port); err != nil || notNumber != nil || n < 1 || n > 65535 {
		e.wrong(name, "is neither host:port nor off")
	}
	return v
}

// aws reads which logins come from AWS, and checks their variables.
func (e *env) aws(c Config) AWS {
	a := AWS{
		DatabaseSecretARN:  e.text("DATABASE_SECRET_ARN", ""),
		DatabaseIAM:        e.oneOf("DATABASE_IAM_AUTH", "false", "true") == "true",
		RedisIAMCache:      e.text("REDIS_IAM_CACHE", ""),
		RedisIAMServerless: e.oneOf("REDIS_IAM_SERVERLESS", "false", "true") == "true",
	}
	if p := strings.SplitN(a.DatabaseSecretARN, ":", 7); a.DatabaseSecretARN != "" && (len(p) < 7 || p[0] != "arn" || p[2] != "secretsmanager") {
		e.wrong("DATABASE_SECRET_ARN", "is not the ARN of a secret (arn:aws:secretsmanager:...)")
	}
	if a.DatabaseIAM && a.DatabaseSecretARN != "" {
		e.wrong("DATABASE_IAM_AUTH", "and DATABASE_SECRET_ARN are two logins; unset one of them")
	}
	if strings.ContainsFunc(a.RedisIAMCache, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
		e.wrong("REDIS_IAM_CACHE", "is not the name of a cache: a to z, 0 to 9 and -")
	}
	if a.RedisIAMServerless && a.RedisIAMCache == "" {
		e.wrong("REDIS_IAM_SERVERLESS", "needs REDIS_IAM_CACHE, which is not set")
	}
	if a.RedisIAMCache != "" && c.RedisURL == RedisOff {
		e.wrong("REDIS_IAM_CACHE", "names a cache, but REDIS_URL is off: unset one of them")
	}
	if a.RedisIAMServerless && !strings.Contains(c.RedisURL, "cluster=true") && !strings.Contains(c.RedisURL, "cluster=1") {
		e.wrong("REDIS_IAM_SERVERLESS", "needs ?cluster=true in REDIS_URL: a serverless cache is a cluster")
	}
	if region := e.text("AWS_REGION", e.value("AWS_DEFAULT_REGION")); region == "" && e.value("AWS_PROFILE") == "" && (a.DatabaseIAM || a.RedisIAMCache != "") {
		e.wrong("AWS_REGION", "is required for IAM authentication")
	}
	e.checkLinked(a)
	return a
}

// bytes reads a size with a unit ("64MiB"), or 0.
func (e *env) bytes(name string, fallback, least uint64) uint64 {
	v := e.value(name)
	if v == "" {
		return fallback
	}
	const most = 1 << 40
	for unit, factor := range map[string]uint64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		digits, found := strings.CutSuffix(v, unit)
		n, err := strconv.ParseUint(digits, 10, 64)
		if found && err == nil && n <= most/factor && n*factor >= least {
			return n * factor
		}
	}
	if v != "0" {
		e.wrong(name, fmt.Sprintf("is not a size of at least %d KiB, for example 64MiB, nor 0", least>>10))
	}
	return 0
}
