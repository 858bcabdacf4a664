package callers

import (
	"crypto/x509"
	"maps"
)

// Parse returns the callers of a file by what identifies them.
func Parse(content []byte) (map[string]*Principal, error) {
	s, err := parse(content)
	if err != nil {
		return nil, err
	}
	found := map[string]*Principal{}
	for _, each := range []map[string]*Principal{s.certificates, s.subjects, s.arns} {
		maps.Copy(found, each)
	}
	for id, k := range s.keys {
		found[id] = k.principal
	}
	return found, nil
}

// CanonicalARN is canonicalARN.
func CanonicalARN(arn string) string { return canonicalARN(arn) }

// RightsOf returns the rights of a built-in role.
func RightsOf(role string) (Rights, bool) {
	r, ok := roles[role]
	return r, ok
}

// Connected returns a connection with these properties.
func Connected(encrypted, loopback bool, chain ...*x509.Certificate) *Connection {
	return &Connection{loopback: loopback, tls: func() (bool, []*x509.Certificate) { return encrypted, chain }}
}
