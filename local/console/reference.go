package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// reference is what the page shows of the document.
type reference struct {
	About    string
	Common   []problem // that every rpc may answer
	Services []service
	Types    []typeOf
}

type service struct {
	Name, About string
	RPCs        []rpc
}

type rpc struct {
	Name, Path, About string
	Request, Answer   typeOf
	Problems          []problem // without those of every rpc
}

type problem struct {
	Status       int
	StatusText   string
	Title, About string
}

type typeOf struct {
	Name, About string
	Fields      []field
	Values      []string // of an enum
}

type field struct {
	Name, Type, Link, About string
}

// document is OpenAPI's form, as far as the page needs it.
type document struct {
	Info       struct{ Description string }
	Tags       []struct{ Name, Description string }
	Paths      map[string]struct{ Post operation }
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	Tags                 []string
	Summary, Description string
	RequestBody          body
	Responses            map[string]body
}

type body struct {
	Content map[string]struct{ Schema schema }
}

type schema struct {
	Ref                        string `json:"$ref"`
	Type                       any    // a name, or a list of names
	Title, Format, Description string
	Enum                       []string
	Items                      *schema
	AnyOf                      []schema
	Properties                 map[string]schema
}

// readReference reads a document of scripts/openapi.
func readReference(text []byte) (*reference, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("read openapi.json: %w", err)
	}
	r := &reference{About: d.Info.Description, Common: d.common()}
	for _, tag := range d.Tags {
		r.Services = append(r.Services, d.service(tag.Name, tag.Description, r.Common))
	}
	shown := map[string]bool{"Error": true}
	for _, s := range r.Services {
		for _, one := range s.RPCs {
			shown[one.Request.Name], shown[one.Answer.Name] = true, true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		if !shown[name] && d.Components.Schemas[name].Title == "" { // only errors have a title
			r.Types = append(r.Types, d.typeOf(name))
		}
	}
	return r, nil
}

// common returns the problems that every rpc may answer.
func (d *document) common() (all []problem) {
	first := true
	for _, path := range d.Paths {
		own := d.problems(path.Post.Responses)
		if first {
			all, first = own, false
		}
		all = slices.DeleteFunc(all, func(p problem) bool { return !slices.Contains(own, p) })
	}
	return all
}

func (d *document) service(name, about string, common []problem) service {
	s := service{Name: name, About: about}
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		o := d.Paths[path].Post
		if !slices.Contains(o.Tags, name) {
			continue
		}
		s.RPCs = append(s.RPCs, rpc{
			Name: o.Summary, Path: path, About: o.Description,
			Problems: slices.DeleteFunc(d.problems(o.Responses), func(p problem) bool { return slices.Contains(common, p) }),
			Request:  d.typeOf(nameOf(o.RequestBody.Content["application/json"].Schema.Ref)),
			Answer:   d.typeOf(nameOf(o.Responses["200"].Content["application/json"].Schema.Ref)),
		})
	}
	return s
}

func (d *document) problems(responses map[string]body) (all []problem) {
	for _, status := range slices.Sorted(maps.Keys(responses)) {
		n, err := strconv.Atoi(status)
		if err != nil || n == http.StatusOK {
			continue
		}
		for _, s := range responses[status].Content["application/json"].Schema.AnyOf {
			all = append(all, problem{n, http.StatusText(n), d.Components.Schemas[nameOf(s.Ref)].Title, s.Description})
		}
	}
	return all
}

func (d *document) typeOf(name string) typeOf {
	s := d.Components.Schemas[name]
	t := typeOf{Name: name, About: s.Description, Values: s.Enum}
	for _, property := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[property]
		kind, link := kindOf(p)
		t.Fields = append(t.Fields, field{property, kind, link, p.Description})
	}
	return t
}

// kindOf returns the name of a field's type, and the name of the schema that it links to.
func kindOf(s schema) (kind, link string) {
	switch {
	case s.Ref != "":
		return nameOf(s.Ref), nameOf(s.Ref)
	case s.Items != nil:
		kind, link = kindOf(*s.Items)
		return "list of " + kind, link
	case len(s.AnyOf) > 0: // or null
		return kindOf(s.AnyOf[0])
	case s.Format != "":
		return s.Format, ""
	}
	if name, ok := s.Type.(string); ok {
		return name, ""
	}
	return "number", ""
}

func nameOf(ref string) string { return strings.TrimPrefix(ref, "#/components/schemas/") }
