package template

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lookup returns the last value of a variable in environ, as a process sees it.
func lookup(environ []string, name string) (value string, ok bool) {
	for _, entry := range slices.Backward(environ) {
		if v, found := strings.CutPrefix(entry, name+"="); found {
			return v, true
		}
	}
	return "", false
}

// Region returns the AWS region that environ names; by default us-east-1.
func Region(environ []string) string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if v, _ := lookup(environ, name); v != "" {
			return v
		}
	}
	return "us-east-1"
}

// passed are the variables of the emulator's environment that every function gets: those that a process on this machine
// needs, and those that configure the AWS SDK. Without credentials the function gets made-up ones, so that the SDK does not
// search for others.
var passed = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE",
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
}

const endpointPrefix = "AWS_ENDPOINT_URL" // also of AWS_ENDPOINT_URL_STS

// Process describes a process of a function.
type Process struct {
	RuntimeAPI string // host:port/path of its Runtime API
	LogStream  string // suffix of the log stream's name
	Dir        string // of the program
}

// Variable returns the value that Environ gives a variable of the template. Without a known value it returns false.
func (f *Function) Variable(environ []string, name string) (value string, ok bool) {
	if value, ok = lookup(environ, name); ok {
		return value, true
	}
	value, ok = f.Variables[name]
	return value, ok
}

// Environ returns the environment of a process: values of the template, the variables of environ that the template declares
// for the function or that every process needs, and Lambda's own. Other variables of environ are left out.
func (f *Function) Environ(environ []string, p Process) []string {
	values := map[string]string{
		"LANG": "en_US.UTF-8", "TZ": ":UTC",
		"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator",
	}
	maps.Copy(values, f.Variables)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if f.Declared[name] || slices.Contains(passed, name) || strings.HasPrefix(name, endpointPrefix) {
			values[name] = value
		}
	}
	maps.Copy(values, map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          p.RuntimeAPI,
		"AWS_LAMBDA_FUNCTION_NAME":        f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.Memory),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      time.Now().UTC().Format("2006/01/02/") + "[$LATEST]" + p.LogStream,
		"AWS_EXECUTION_ENV":               "AWS_Lambda_provided.al2023",
		"AWS_REGION":                      f.Region,
		"AWS_DEFAULT_REGION":              f.Region,
		"LAMBDA_TASK_ROOT":                p.Dir,
		"_HANDLER":                        f.Handler,
	})
	result := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		result = append(result, name+"="+values[name])
	}
	return result
}
