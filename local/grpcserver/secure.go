package grpcserver

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/osirose-new/database-service/shared/callers"
)

// secured accepts connections in plain text, and connections whose TLS handshake is done: package connmux needs the handshake
// to find the protocol. The latter have the method ConnectionState.
type secured struct {
	credentials.TransportCredentials
	outbox *outbox
}

func alreadySecure(o *outbox) credentials.TransportCredentials {
	return secured{insecure.NewCredentials(), o}
}

// ServerHandshake implements credentials.TransportCredentials. grpc-go uses the connection that it returns.
func (s secured) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	a := authInfo{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}
	c, encrypted := conn.(interface{ ConnectionState() tls.ConnectionState })
	if encrypted {
		a.SecurityLevel = credentials.PrivacyAndIntegrity
	}
	caller := callers.NewConnection(conn, func() *tls.ConnectionState {
		if !encrypted {
			return nil
		}
		state := c.ConnectionState()
		return &state
	})
	a.connection = &connection{Conn: conn, caller: caller, outbox: s.outbox}
	return a.connection, a, nil
}

// authInfo is what grpc-go keeps of a connection.
type authInfo struct {
	credentials.CommonAuthInfo
	connection *connection
}

// AuthType implements credentials.AuthInfo.
func (authInfo) AuthType() string { return "connection" }

// credentialsOf returns what the request of a stream brings.
func credentialsOf(ctx context.Context) callers.Credentials {
	c := callers.Credentials{Authorization: metadata.ValueFromIncomingContext(ctx, "authorization")}
	if from := connectionOf(ctx); from != nil {
		c.Connection = from.caller
	}
	return c
}

// Clone implements credentials.TransportCredentials.
func (s secured) Clone() credentials.TransportCredentials { return s }
