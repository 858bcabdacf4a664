// Command libraries is a Lambda function that links what every function of this project needs from outside: the generated
// Twirp server, pgx and go-redis. It has no code of the project. The part cold of bench compares its start with theirs.
package main

import (
	"bytes"
	"context"
	"log"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

type service struct {
	databasev1.UserService
	pool  *pgxpool.Pool
	redis *redis.Client
}

// GetUser implements databasev1.UserService.
func (s service) GetUser(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	u := &databasev1.User{Name: s.redis.Get(ctx, r.UserId).Val()}
	return &databasev1.GetUserResponse{User: u}, s.pool.QueryRow(ctx, `SELECT 'x'`).Scan(&u.Id)
}

func main() {
	pool, err := pgxpool.New(context.Background(), os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		log.Fatal(err)
	}
	handler := databasev1.NewUserServiceServer(service{pool: pool, redis: redis.NewClient(options)})
	lambda.Start(func(ctx context.Context, body []byte) (string, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, handler.PathPrefix()+"GetUser", bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		w := &answer{header: http.Header{}}
		handler.ServeHTTP(w, r)
		return w.String(), nil
	})
}

// answer is a ResponseWriter that keeps the body.
type answer struct {
	bytes.Buffer
	header http.Header
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (*answer) WriteHeader(int) {}
