package callers

import "crypto/x509"

// Parse is parse.
func Parse(content []byte) error {
	_, err := parse(content)
	return err
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
