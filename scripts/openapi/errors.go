package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// problem is one error that an rpc may answer.
type problem struct {
	code   twirp.ErrorCode
	reason string // empty: one of several
	when   string
}

// name is the problem's name among the schemas.
func (p problem) name() string {
	return strings.TrimSuffix(string(p.code)+"."+p.reason, ".")
}

var (
	errorWord  = regexp.MustCompile(`\([^()]*\)|\bas [A-Z][A-Za-z]+|[A-Za-z_]+`)
	reasonWord = regexp.MustCompile(`^[A-Z]+(_[A-Z]+)+$|^[A-Z]{5,}$`)
)

// The lists of errors in a service's comment follow these words.
const (
	everyRPC    = "may also answer:"
	everyCaller = "every rpc may refuse one:"
)

// serviceProblems returns the problems that every rpc of a service may have, from the service's comment.
func serviceProblems(comment string) []problem {
	_, list, _ := strings.Cut(comment, everyRPC)
	list, rest, _ := strings.Cut(list, "meta.reason")
	_, callers, _ := strings.Cut(rest, everyCaller)
	callers, _, _ = strings.Cut(callers, "JSON:")
	return append(problemsOf(list, nil), problemsOf(callers, nil)...)
}

// problemsOf reads a list of errors. A Twirp code is followed by its reasons, in capitals. Words in parentheses explain the reason
// before them. "as GetCharacter" means the errors that inherit returns for that rpc.
func problemsOf(list string, inherit func(rpc string) []problem) (all []problem) {
	var code twirp.ErrorCode
	for _, word := range errorWord.FindAllString(list, -1) {
		switch {
		case strings.HasPrefix(word, "as "):
			all = merge(all, inherit(strings.TrimPrefix(word, "as ")))
		case strings.HasPrefix(word, "("):
			if len(all) > 0 {
				when := &all[len(all)-1].when
				*when = strings.TrimPrefix(*when+"; "+strings.Join(strings.Fields(strings.Trim(word, "()")), " "), "; ")
			}
		case twirp.IsValidErrorCode(twirp.ErrorCode(word)):
			code = twirp.ErrorCode(word)
			all = append(all, problem{code: code})
		case reasonWord.MatchString(word):
			if last := len(all) - 1; last >= 0 && all[last] == (problem{code: code}) {
				all = all[:last] // the code has a reason
			}
			all = append(all, problem{code: code, reason: word})
		}
	}
	return merge(nil, all)
}

// inherited returns the problems of another rpc, without explanations of fields that only the other has.
func inherited(problems []problem, from, to *protogen.Message) []problem {
	all := slices.Clone(problems)
	for i := range all {
		var kept []string
		for when := range strings.SplitSeq(all[i].when, "; ") {
			field, _, _ := strings.Cut(when, " ")
			if name := protoreflect.Name(field); from.Desc.Fields().ByName(name) == nil || to.Desc.Fields().ByName(name) != nil {
				kept = append(kept, when)
			}
		}
		all[i].when = strings.Join(kept, "; ")
	}
	return all
}

// merge appends the problems of b to those of a. A problem that is there gets the further explanation.
func merge(a, b []problem) []problem {
	all := slices.Clone(a)
	for _, p := range b {
		i := slices.IndexFunc(all, func(o problem) bool { return o.name() == p.name() })
		switch {
		case i < 0:
			all = append(all, p)
		case p.when != "" && p.when != all[i].when:
			all[i].when = strings.TrimPrefix(all[i].when+"; "+p.when, "; ")
		}
	}
	return all
}

var errorSchema = object{
	"type":        "object",
	"description": "Each error is of this form.",
	"required":    []string{"code", "msg"},
	"properties": object{
		"code": object{"type": "string", "description": "Twirp's code of the error. Stable."},
		"msg":  object{"type": "string", "description": "A text for people. It may change."},
		"meta": object{"type": "object", "additionalProperties": object{"type": "string"}, "properties": object{
			"reason":   object{"type": "string", "description": "Why, in capitals. Stable."},
			"argument": object{"type": "string", "description": "The path of the wrong field."},
		}},
	},
}

// responsesOf returns the responses by HTTP status. It adds the schemas of the problems.
func responsesOf(problems []problem, schemas object) object {
	byStatus := map[string][]object{}
	for _, p := range problems {
		schemas[p.name()] = problemSchema(p)
		status := strconv.Itoa(twirp.ServerHTTPStatusFromErrorCode(p.code))
		byStatus[status] = append(byStatus[status], described(reference(p.name()), p.when))
	}
	responses := object{}
	for status, all := range byStatus {
		responses[status] = object{"description": "An error.", "content": content(object{"anyOf": all})}
	}
	return responses
}

func problemSchema(p problem) object {
	schema := object{"title": strings.TrimSpace(string(p.code) + " " + p.reason), "allOf": []object{reference("Error")}}
	properties := object{"code": object{"const": p.code}}
	if p.reason != "" {
		properties["meta"] = object{"required": []string{"reason"}, "properties": object{"reason": object{"const": p.reason}}}
		schema["required"] = []string{"meta"}
	}
	schema["properties"] = properties
	return schema
}
