package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// certificate writes a self-signed certificate for 127.0.0.1 and its key.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil) // for its certificate
	defer s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: s.Certificate().Raw}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return certFile, keyFile, roots
}

func TestTLS(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	certFile, keyFile, roots := certificate(t)
	p := start(t, append(outside(e), "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile))
	host := strings.TrimPrefix(p.url, "http://")
	wantText(t, &p.stdout, "listens at https://"+host, "curl -s -k -H", "https://"+host+"/twirp/")

	c, err := grpc.NewClient(host, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := getUser(t, c, user); err != nil || got.GetId() != user {
		t.Errorf("GetUser by gRPC and TLS = %v, %v, want the user", got, err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() // offers HTTP/2 too
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	defer transport.CloseIdleConnections()
	users := databasev1.NewUserServiceProtobufClient("https://"+host, &http.Client{Transport: transport})
	if got, err := users.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: user}); err != nil || got.User.Id != user {
		t.Errorf("GetUser by Twirp and TLS = %v, %v, want the user", got, err)
	}
	if _, err := getUser(t, p.dial(t), user); err == nil { // p.url says http
		t.Error("GetUser by gRPC without TLS succeeds")
	}

	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	tlsFiles := []string{"SERVICE_PORT=" + port, "TLS_CERT_FILE=" + certFile, "TLS_KEY_FILE=" + keyFile}
	runToEnd(t, 0, tlsFiles, "healthcheck")
	runToEnd(t, 1, tlsFiles[:1], "healthcheck")
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0)
}

func TestWrongTLS(t *testing.T) {
	t.Parallel()
	env := outside(testenv.New(t, "plugins", "miniredis"))
	certFile, keyFile, _ := certificate(t)
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("hidden"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, files := range map[string][]string{
		"the certificate alone": {"TLS_CERT_FILE=" + certFile},
		"the key alone":         {"TLS_KEY_FILE=" + keyFile},
		"no such certificate":   {"TLS_CERT_FILE=" + certFile + "x", "TLS_KEY_FILE=" + keyFile},
		"no certificate":        {"TLS_CERT_FILE=" + wrong, "TLS_KEY_FILE=" + keyFile},
		"no key":                {"TLS_CERT_FILE=" + certFile, "TLS_KEY_FILE=" + wrong},
		"the wrong way round":   {"TLS_CERT_FILE=" + keyFile, "TLS_KEY_FILE=" + certFile},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := runToEnd(t, 1, append(files, env...))
			wantText(t, &p.stderr, "TLS_CERT_FILE", "TLS_KEY_FILE")
			if text := p.stderr.String(); strings.Contains(text, "hidden") || p.stdout.String() != "" {
				t.Errorf("stderr %q and stdout %q, want no text of the file and nothing", text, &p.stdout)
			}
		})
	}
}

// TestAdminTLS opens the links to the admin address that the program prints and shows, where that address speaks TLS.
func TestAdminTLS(t *testing.T) {
	t.Parallel()
	callersFile, _, _ := reportCallers(t)
	certFile, keyFile, roots := certificate(t)
	port := freePort(t)
	p := start(t, append(outside(testenv.New(t, "plugins", "miniredis")), "CALLERS_FILE="+callersFile, "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile, "ADMIN_ADDR=0.0.0.0:"+port))
	reference := "https://127.0.0.1:" + port + "/console/api/"
	wantText(t, &p.stdout, "https://127.0.0.1:"+port+"/console/")
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	for url, want := range map[string]string{strings.Replace(p.url, "http:", "https:", 1): reference, reference: "openapi.json"} {
		answer, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close() // all was read
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %.300s, %v, want 200 and %s in it", url, answer.StatusCode, body, err, want)
		}
	}
}
