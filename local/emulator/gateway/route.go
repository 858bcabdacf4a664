package gateway

import (
	"net/url"
	"strings"
)

// Route leads requests to a function.
type Route struct {
	Method   string // "POST"; "ANY" is every method
	Path     string // "/twirp/x.Service/{method}", "/{proxy+}", or "$default"
	Function Function
	Name     string // of the function, for Config.Save
}

// key is the HTTP API's name for the route.
func (r Route) key() string {
	if r.Path == "$default" {
		return r.Path
	}
	return r.Method + " " + r.Path
}

// match reports whether the route serves path, and returns the path's parameters.
func (r Route) match(path string) (parameters map[string]string, ok bool) {
	if r.Path == "$default" {
		return nil, true
	}
	want, got := strings.Split(r.Path, "/"), strings.Split(path, "/")
	parameters = map[string]string{}
	for i, segment := range want {
		name, variable := strings.CutPrefix(segment, "{")
		name = strings.TrimSuffix(name, "}")
		switch {
		case i >= len(got):
			return nil, false
		case variable && strings.HasSuffix(name, "+"):
			rest := strings.Join(got[i:], "/")
			parameters[strings.TrimSuffix(name, "+")] = rest
			return parameters, rest != ""
		case variable && got[i] != "":
			parameters[name] = got[i]
		case segment != unescaped(got[i]):
			return nil, false
		}
	}
	return parameters, len(want) == len(got)
}

// weight orders routes that match the same request: the most specific one wins.
func (r Route) weight() int {
	w := 0
	switch {
	case r.Path == "$default":
	case strings.Contains(r.Path, "+}"):
		w = 2 + 8*strings.Count(r.Path, "/")
	default:
		w = 1 << 20
		for segment := range strings.SplitSeq(r.Path, "/") {
			if !strings.HasPrefix(segment, "{") {
				w += 8
			}
		}
	}
	if r.Method != "ANY" {
		w++
	}
	return w
}

// find returns the route of a request and the parameters of its path. A REST API sends these escaped, the others unescaped.
func (h *handler) find(kind Kind, method, path string) (found Route, parameters map[string]string, ok bool) {
	routes := h.Routes[kind]
	if len(routes) == 0 {
		routes = h.Routes[HTTPAPI]
	}
	if kind == RESTAPI {
		if path = strings.TrimRight(path, "/"); path == "" {
			path = "/"
		}
	}
	best := -1
	for _, r := range routes {
		if r.Method != method && r.Method != "ANY" && r.Path != "$default" {
			continue
		}
		if p, matches := r.match(path); matches && r.weight() > best {
			found, parameters, best = r, p, r.weight()
		}
	}
	if kind != RESTAPI {
		for name, value := range parameters {
			parameters[name] = unescaped(value)
		}
	}
	return found, parameters, best >= 0
}

// unescaped returns part without escapes, or unchanged if it does not parse.
func unescaped(part string) string {
	if plain, err := url.PathUnescape(part); err == nil {
		return plain
	}
	return part
}
