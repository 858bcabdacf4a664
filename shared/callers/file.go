package callers

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// snapshot is one version of the files. It never changes.
type snapshot struct {
	authorities  *x509.CertPool        // nil: certificates prove nothing
	certificates map[string]*Principal // by URI or DNS name
	subjects     map[string]*Principal // by a token's subject
	arns         map[string]*Principal // by canonical ARN; nil: there is no CALLERS_FILE
	keys         map[string]*knownKey  // by id
	callers      int                   // their number
}

// document is CALLERS_FILE. README.md in this folder describes it.
type document struct {
	Roles   map[string][]string `yaml:"roles"`
	Callers map[string]entry    `yaml:"callers"`
}

type entry struct {
	Roles        []string   `yaml:"roles"`
	Certificates []string   `yaml:"certificates"`
	Subjects     []string   `yaml:"subjects"`
	AWS          []string   `yaml:"aws"`
	Keys         []keyEntry `yaml:"keys"`
}

type keyEntry struct {
	ID        string `yaml:"id"`
	SHA256    string `yaml:"sha256"`
	NotBefore moment `yaml:"not_before"`
	NotAfter  moment `yaml:"not_after"`
}

// moment is a time, or a day at 0:00 UTC.
type moment struct{ time.Time }

// UnmarshalYAML implements yaml.Unmarshaler. The library's own error for a time has no line.
func (m *moment) UnmarshalYAML(n *yaml.Node) (err error) {
	if m.Time, err = time.Parse(time.RFC3339, n.Value); err != nil {
		m.Time, err = time.Parse(time.DateOnly, n.Value)
	}
	if err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: no time", n.Line)}}
	}
	return nil
}

// parse reads CALLERS_FILE. The error names everything that is wrong with it, and no hash.
func parse(content []byte) (*snapshot, error) {
	var d document
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return nil, yamlError(err)
	}
	if decoder.Decode(&yaml.Node{}) == nil {
		return nil, errors.New("has more than one YAML document")
	}
	p := parser{roles: maps.Clone(roles), s: &snapshot{
		certificates: map[string]*Principal{}, subjects: map[string]*Principal{}, arns: map[string]*Principal{}, keys: map[string]*knownKey{}, callers: len(d.Callers),
	}}
	for _, name := range slices.Sorted(maps.Keys(d.Roles)) {
		p.role(name, d.Roles[name])
	}
	for _, name := range slices.Sorted(maps.Keys(d.Callers)) {
		p.caller(name, d.Callers[name])
	}
	if len(d.Callers) == 0 {
		p.wrong("it has no callers")
	}
	return p.s, errors.Join(p.errs...)
}

// yamlError says what is wrong in which line. It leaves out the library's text, which quotes the file, and so perhaps a key.
func yamlError(err error) error {
	lineOf, unknown := regexp.MustCompile(`line \d+`), regexp.MustCompile(`field (\w+) not found`) // not at a cold start
	e, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		if line := lineOf.FindString(err.Error()); line != "" {
			return fmt.Errorf("is not YAML: %s", line)
		}
		return errors.New("is not YAML")
	}
	var all []string
	for _, each := range e.Errors {
		what := "a value of the wrong type"
		if field := unknown.FindStringSubmatch(each); field != nil {
			what = "there is no field " + field[1] + " here"
		} else if strings.Contains(each, "already defined") {
			what = "the same name again"
			if strings.Contains(each, `key "callers"`) {
				what = `a second "callers:"; put all callers under one`
			}
		}
		all = append(all, lineOf.FindString(each)+": "+what)
	}
	return errors.New(strings.Join(all, "; "))
}

// parser checks a document and builds its snapshot.
type parser struct {
	s     *snapshot
	roles map[string]Rights
	errs  []error
}

func (p *parser) wrong(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

// isName reports whether a name can stand in a log line.
func isName(s string) bool { return s != "" && len(s) <= 64 && strings.Trim(s, nameLetters) == "" }

func (p *parser) role(name string, rights []string) {
	if _, builtIn := p.roles[name]; builtIn || !isName(name) {
		p.wrong("role %q: its name must be new, and have up to 64 letters, digits and _.-", name)
		return
	}
	var has Rights
	for _, right := range rights {
		i := slices.Index(names[:], right)
		if i < 0 {
			p.wrong("role %q: there is no right %q", name, right)
			continue
		}
		has |= 1 << i
	}
	p.roles[name] = has
}

func (p *parser) caller(name string, e entry) {
	if !isName(name) {
		p.wrong("caller %q: its name must have up to 64 letters, digits and _.-", name)
		return
	}
	principal := &Principal{Name: name}
	for _, role := range e.Roles {
		has, known := p.roles[role]
		if !known {
			p.wrong("caller %q: there is no role %q", name, role)
		}
		principal.Rights |= has
	}
	if len(e.Roles) == 0 {
		p.wrong("caller %q has no roles", name)
	}
	if len(e.Certificates)+len(e.Subjects)+len(e.AWS)+len(e.Keys) == 0 {
		p.wrong("caller %q has no certificates, subjects, aws or keys", name)
	}
	p.add(name, "certificates", p.s.certificates, e.Certificates, principal)
	p.add(name, "subjects", p.s.subjects, e.Subjects, principal)
	var arns []string
	for _, arn := range e.AWS {
		arns = append(arns, canonicalARN(arn))
	}
	p.add(name, "aws", p.s.arns, arns, principal)
	for i, k := range e.Keys {
		p.key(name, i, k, principal)
	}
}

func (p *parser) add(name, kind string, to map[string]*Principal, credentials []string, principal *Principal) {
	for i, c := range credentials {
		switch {
		case c == "":
			p.wrong("caller %q: %s: number %d is empty or has not the form of one", name, kind, i+1)
		case to[c] != nil:
			p.wrong("caller %q: %s: caller %q has number %d, too", name, kind, to[c].Name, i+1)
		}
		to[c] = principal
	}
}

func (p *parser) key(name string, i int, k keyEntry, principal *Principal) {
	known := &knownKey{notBefore: k.NotBefore.Time, notAfter: k.NotAfter.Time, principal: principal}
	sum, err := hex.DecodeString(k.SHA256)
	copy(known.sha256[:], sum)
	switch {
	case len(k.ID) == 0 || len(k.ID) > 64 || strings.Trim(k.ID, "0123456789abcdefghijklmnopqrstuvwxyz") != "":
		p.wrong("caller %q: key number %d: its id must have up to 64 lower-case letters and digits", name, i+1)
	case err != nil || len(sum) != sha256.Size:
		p.wrong("caller %q: key %s: its sha256 must have 64 hexadecimal digits", name, k.ID)
	case k.NotBefore.IsZero() || k.NotAfter.IsZero() || !k.NotBefore.Before(k.NotAfter.Time):
		p.wrong("caller %q: key %s: not_before and not_after must be times, in this order", name, k.ID)
	case p.s.keys[k.ID] != nil:
		p.wrong("caller %q: key %s: there are two keys with this id", name, k.ID)
	}
	p.s.keys[k.ID] = known
}
