package awslogin_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/shared/awslogin"
)

// manager answers GetSecretValue as Secrets Manager does. The end-to-end tests use moto's.
type manager struct {
	account *awslogin.Account
	server  *httptest.Server

	mu      sync.Mutex
	stages  map[string]string // the secret's text by stage
	down    bool
	code    string   // AWS's error code; empty: an answer
	asked   []string // stages
	hold    chan struct{}
	elapsed time.Duration
	then    func(asked string)
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{stages: map[string]string{}}
	server := httptest.NewServer(m)
	m.server = server
	t.Cleanup(server.Close)
	begin := time.Now()
	m.account = awslogin.NewTestAccount(func(ctx context.Context) (aws.Config, error) {
		c, err := role(ctx)
		c.BaseEndpoint, c.RetryMaxAttempts = &server.URL, 1
		return c, err
	}, func() time.Time {
		m.mu.Lock()
		defer m.mu.Unlock()
		return begin.Add(m.elapsed)
	})
	return m
}

// set changes the secret and moves the clock.
func (m *manager) set(stages map[string]string, down bool, passed time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stages, m.down = stages, down
	m.elapsed += passed
}

// after changes the secret after the next request for the stage.
func (m *manager) after(stage string, stages map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.then = func(asked string) {
		if asked == stage {
			m.stages, m.then = stages, nil
		}
	}
}

// calls returns the stages that were requested since the last call.
func (m *manager) calls() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.asked = nil }()
	return m.asked
}

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct{ SecretId, VersionStage string }
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, &request)
	m.mu.Lock()
	hold := m.hold
	m.asked = append(m.asked, request.VersionStage)
	text, ok := m.stages[request.VersionStage]
	down, code := m.down, m.code
	if m.then != nil {
		m.then(request.VersionStage)
	}
	m.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch {
	case down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case code != "":
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "Message": "hidden"})
	case !ok || request.SecretId != secretARN || !strings.Contains(r.Header.Get("Authorization"), "/ap-south-1/secretsmanager/"):
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type": "ResourceNotFoundException", "Message": "hidden"}`)
	default:
		_ = json.NewEncoder(w).Encode(map[string]string{"ARN": secretARN, "SecretString": text, "VersionId": hash(text)})
	}
}

// secretOf returns a secret in the form of RDS.
func secretOf(password string) string {
	return `{"username": "u", "password": "` + password + `"}`
}

// stages returns a secret with a current password and, during a rotation, a pending one.
func stages(current, pending string) map[string]string {
	m := map[string]string{"AWSCURRENT": secretOf(current)}
	if pending != "" {
		m["AWSPENDING"] = secretOf(pending)
	}
	return m
}

func (m *manager) want(t *testing.T, what string, s *awslogin.Secret, password string, calls ...string) {
	t.Helper()
	c, err := s.Credentials(t.Context(), "", 0, "")
	if err != nil || c.Password != password {
		t.Errorf("%s: the password is %q, %v, want %q", what, c.Password, err, password)
	}
	if diff := cmp.Diff(calls, m.calls()); diff != "" {
		t.Errorf("%s: calls (-want +got):\n%s", what, diff)
	}
}
