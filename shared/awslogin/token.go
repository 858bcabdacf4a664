package awslogin

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"

	"github.com/osirose-new/database-service/shared/postgres"
)

var _ postgres.Login = (*RDS)(nil)

// RDS is IAM authentication: the password of each new connection is a token that is valid for 15 minutes.
type RDS struct {
	account *Account
	ready   atomic.Bool
}

// RDS returns the login of RDS and of RDS Proxy.
func (a *Account) RDS() *RDS { return &RDS{account: a} }

// Ready implements postgres.Login.
func (r *RDS) Ready(ctx context.Context) error {
	if r.ready.Load() {
		return nil
	}
	_, _, err := r.account.signing(ctx)
	r.ready.Store(err == nil)
	return err
}

// Credentials implements postgres.Login.
func (r *RDS) Credentials(ctx context.Context, host string, port uint16, user string) (postgres.Credentials, error) {
	c, _, err := r.account.signing(ctx)
	if err != nil {
		return postgres.Credentials{}, err
	}
	token, err := auth.BuildAuthToken(ctx, net.JoinHostPort(host, strconv.Itoa(int(port))), c.Region, user, c.Credentials)
	if err != nil {
		return postgres.Credentials{}, &postgres.LoginError{What: "the token cannot be signed: check the AWS credentials", Err: err}
	}
	return postgres.Credentials{User: user, Password: token}, nil
}

// Renew implements postgres.Login. It returns false, because a new token would have the same signer and be refused too.
func (r *RDS) Renew(context.Context, string) bool { return false }

// ElastiCache returns a function that makes passwords for the users of a cache with IAM authentication; see
// cache.ConnectOptions. name is the name of the replication group or of the serverless cache.
func (a *Account) ElastiCache(name string, serverless bool) func(ctx context.Context, user string) (string, error) {
	const emptyBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // its SHA-256
	return func(ctx context.Context, user string) (string, error) {
		c, credentials, err := a.signing(ctx)
		if err != nil {
			return "", err
		}
		query := url.Values{"Action": {"connect"}, "User": {user}, "X-Amz-Expires": {"900"}}
		if serverless {
			query.Set("ResourceType", "ServerlessCache")
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+name+"/?"+query.Encode(), nil)
		if err != nil {
			return "", &postgres.LoginError{What: "REDIS_IAM_CACHE is no name of a cache: write the name of the replication group or of the serverless cache"}
		}
		signed, _, err := v4.NewSigner().PresignHTTP(ctx, credentials, request, emptyBody, "elasticache", c.Region, a.now().UTC())
		if err != nil {
			return "", &postgres.LoginError{What: "the token cannot be signed: check the AWS credentials", Err: err}
		}
		return strings.TrimPrefix(signed, "http://"), nil
	}
}
