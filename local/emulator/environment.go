package emulator

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lookup returns the last value of a variable in environ.
func lookup(environ []string, name string) (value string, ok bool) {
	for _, entry := range slices.Backward(environ) {
		if v, found := strings.CutPrefix(entry, name+"="); found {
			return v, true
		}
	}
	return "", false
}

func regionOf(environ []string) string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if v, _ := lookup(environ, name); v != "" {
			return v
		}
	}
	return "us-east-1"
}

// passed are variables of the emulator's own environment that every function gets: what a process needs to run on this
// machine, and what leads the AWS SDK. Where there are no credentials, made-up ones keep the SDK from looking further.
var passed = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE",
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
}

const endpointPrefix = "AWS_ENDPOINT_URL" // and AWS_ENDPOINT_URL_STS, say

// environment is all that a process of the function gets: nothing else of the emulator's own.
func (s *spec) environment(h *host, key, dir string) []string {
	values := map[string]string{
		"LANG": "en_US.UTF-8", "TZ": ":UTC",
		"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator",
	}
	maps.Copy(values, s.variables)
	for _, entry := range h.environ {
		name, value, _ := strings.Cut(entry, "=")
		if s.declared[name] || slices.Contains(passed, name) || strings.HasPrefix(name, endpointPrefix) {
			values[name] = value
		}
	}
	maps.Copy(values, map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          h.address + runtimePrefix + key,
		"AWS_LAMBDA_FUNCTION_NAME":        s.name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(s.memory),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + s.name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      time.Now().UTC().Format("2006/01/02/") + "[$LATEST]" + strings.ReplaceAll(key, "/", "-"),
		"AWS_EXECUTION_ENV":               "AWS_Lambda_provided.al2023",
		"AWS_REGION":                      s.region,
		"AWS_DEFAULT_REGION":              s.region,
		"LAMBDA_TASK_ROOT":                dir,
		"_HANDLER":                        s.handler,
	})
	environ := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		environ = append(environ, name+"="+values[name])
	}
	return environ
}
