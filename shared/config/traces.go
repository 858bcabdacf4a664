package config

import (
	"net/url"
	"strings"
)

// traces returns the URL that traces go to. It reads those of OpenTelemetry's variables that decide it, and refuses the
// mistakes that its SDK would only log.
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
func (e *env) traces() string {
	name, suffix := "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""
	to := e.value(name)
	if to == "" {
		name, suffix = "OTEL_EXPORTER_OTLP_ENDPOINT", "/v1/traces"
		to = strings.TrimSuffix(e.value(name), "/")
	}
	if to == "" || strings.EqualFold(e.value("OTEL_SDK_DISABLED"), "true") || e.oneOf("OTEL_TRACES_EXPORTER", "otlp", "none") == "none" {
		return ""
	}
	u, err := url.Parse(to)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		e.wrong(name, "is not the URL of a collector: http://host:4318")
	case u.User != nil:
		e.wrong(name, "holds a login; put it into OTEL_EXPORTER_OTLP_HEADERS")
	}
	for _, protocol := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		e.oneOf(protocol, "http/protobuf")
	}
	sampler := e.oneOf("OTEL_TRACES_SAMPLER", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
		"always_on", "always_off", "traceidratio")
	if strings.HasSuffix(sampler, "ratio") {
		e.ratio("OTEL_TRACES_SAMPLER_ARG")
	}
	return to + suffix
}
