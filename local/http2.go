package main

import (
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"

	"github.com/osirose-new/database-service/local/connmux"
	"github.com/osirose-new/database-service/local/grpcserver"
)

// serveHTTP2 makes a server serve HTTP/2 too, in plain text: connmux has ended TLS.
func serveHTTP2(s *http.Server) *http.Server {
	s.Protocols = &http.Protocols{}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: grpcserver.MaxStreams, WriteByteTimeout: writeTimeout}
	return s
}

// refuseGRPC refuses a gRPC request on an HTTP/2 connection that began with another request: net/http serves that connection. It
// closes the connection, so that the client's next request begins a new one, which grpc-go serves.
func refuseGRPC(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || !connmux.IsGRPC(r.Header.Get("Content-Type")) {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/grpc")
		h.Set("Connection", "close")
		h.Set("Grpc-Status", strconv.Itoa(int(codes.Unavailable)))
		h.Set("Grpc-Message", "the connection began with a request that is not gRPC; send it again on another connection")
	})
}
