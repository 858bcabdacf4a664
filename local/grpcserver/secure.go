package grpcserver

import (
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// secured accepts connections in plain text, and connections whose TLS handshake is done: package connmux needs the handshake
// to find the protocol. The latter have the method ConnectionState.
type secured struct {
	credentials.TransportCredentials
}

func alreadySecure() credentials.TransportCredentials { return secured{insecure.NewCredentials()} }

// ServerHandshake implements credentials.TransportCredentials.
func (s secured) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return s.TransportCredentials.ServerHandshake(conn)
	}
	return conn, credentials.TLSInfo{
		State: c.ConnectionState(), CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

// Clone implements credentials.TransportCredentials.
func (s secured) Clone() credentials.TransportCredentials { return s }
