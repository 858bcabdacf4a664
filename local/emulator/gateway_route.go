package emulator

import (
	"net/url"
	"strings"
)

// route leads requests to a function.
type route struct {
	method       string // "POST"; "ANY" is every method
	path         string // "/twirp/x.Service/{method}", "/{proxy+}", or "$default"
	function     function
	functionName string
}

// key is the route as an HTTP API names it.
func (r route) key() string {
	if r.path == "$default" {
		return r.path
	}
	return r.method + " " + r.path
}

// match returns the parameters of a path that the route leads to.
func (r route) match(path string) (parameters map[string]string, ok bool) {
	if r.path == "$default" {
		return nil, true
	}
	want, got := strings.Split(r.path, "/"), strings.Split(path, "/")
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

// weight orders routes that lead to the same request: the more exact one wins.
func (r route) weight() int {
	w := 0
	switch {
	case r.path == "$default":
	case strings.Contains(r.path, "+}"):
		w = 2 + 8*strings.Count(r.path, "/")
	default:
		w = 1 << 20
		for segment := range strings.SplitSeq(r.path, "/") {
			if !strings.HasPrefix(segment, "{") {
				w += 8
			}
		}
	}
	if r.method != "ANY" {
		w++
	}
	return w
}

// find returns the route of a request, and the path's parameters as the gateway sends them: a REST API escaped, and an
// HTTP API not.
func (g *gateway) find(kind Gateway, method, path string) (found route, parameters map[string]string, ok bool) {
	routes := g.routes[kind]
	if len(routes) == 0 {
		routes = g.routes[HTTPAPI]
	}
	if kind == RESTAPI {
		if path = strings.TrimRight(path, "/"); path == "" {
			path = "/"
		}
	}
	best := -1
	for _, r := range routes {
		if r.method != method && r.method != "ANY" && r.path != "$default" {
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

// unescaped is a part of a path, as it is where it does not parse.
func unescaped(part string) string {
	if plain, err := url.PathUnescape(part); err == nil {
		return plain
	}
	return part
}
