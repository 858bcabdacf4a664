package config

import "net/url"

// callers reads how callers prove who they are. What proves an identity needs the file that says what the caller may do.
func (e *env) callers() Callers {
	c := Callers{
		File:         e.text("CALLERS_FILE", ""),
		ClientCAFile: e.text("TLS_CLIENT_CA_FILE", ""),
		Issuer:       e.text("OIDC_ISSUER", ""),
		Audience:     e.text("OIDC_AUDIENCE", ""),
		Required:     e.oneOf("REQUIRE_IDENTITY", "false", "true") == "true",
		Plaintext:    e.oneOf("INSECURE_PLAINTEXT_CREDENTIALS", "false", "true") == "true",
	}
	if c.ClientCAFile != "" && e.value("TLS_CERT_FILE") == "" {
		e.wrong("TLS_CLIENT_CA_FILE", "needs TLS_CERT_FILE: a client shows its certificate under TLS only")
	}
	if (c.Issuer == "") != (c.Audience == "") {
		e.wrong("OIDC_ISSUER", "and OIDC_AUDIENCE must be set together")
	}
	for _, name := range []string{"TLS_CLIENT_CA_FILE", "OIDC_ISSUER"} {
		if e.value(name) != "" && c.File == "" {
			e.wrong(name, "needs CALLERS_FILE, which says what each caller may do")
		}
	}
	if c.Issuer != "" {
		e.issuer(c.Issuer)
	}
	return c
}

// issuer checks the URL of a token's issuer. Its keys must come over TLS, except from this machine.
func (e *env) issuer(issuer string) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		e.wrong("OIDC_ISSUER", "is not a URL that begins with https://")
		return
	}
	if host := u.Hostname(); u.Scheme == "http" && host != "127.0.0.1" && host != "::1" && host != "localhost" {
		e.wrong("OIDC_ISSUER", "must begin with https://, or others could replace the issuer's keys")
	}
}
