package sessiontoken

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/singleflight"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/request"
)

// Reader selects sessions by their keys. If the web application stores hashes of tokens, no token is sent to PostgreSQL.
type Reader struct {
	db     *postgres.DB
	hashed atomic.Pointer[bool] // nil: not known yet
	asking singleflight.Group
}

// NewReader returns a Reader on db. Its statements are urgent.
func NewReader(db *postgres.DB) *Reader { return &Reader{db: db.Urgent()} }

// A migration stores how tokens are stored.
const selectHashedSQL = `SELECT session_token = 'sha256'
  FROM game.adapter`

// tokensHashed asks the database once in the life of the process. A token is sent only after the answer.
func (r *Reader) tokensHashed(ctx context.Context) (bool, error) {
	if hashed := r.hashed.Load(); hashed != nil {
		return *hashed, nil
	}
	asked := r.asking.DoChan("", func() (any, error) {
		hashed, err := postgres.QueryOne(request.Detached(ctx), r.db, pgx.RowTo[bool], selectHashedSQL) // its own time limits end it
		if err == nil {
			r.hashed.Store(&hashed)
		}
		return hashed, err
	})
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case answer := <-asked:
		hashed, _ := answer.Val.(bool)
		return hashed, answer.Err
	}
}

// Select collects with fn the row of k. byToken has two arguments, the token and whether it is a hash, for
// game.session_by_token_as; byID has the id. The errors include [ErrNotFound] and [ErrIDRefused].
func Select[T any](ctx context.Context, r *Reader, k Key, fn pgx.RowToFunc[*T], byToken, byID string) (*T, error) {
	if k.ID != "" {
		return selectOne(ctx, r.db, fn, byID, k.ID)
	}
	row, err := selectByToken(ctx, r, k.Token, fn, byToken)
	// After a migration with another setting the database refuses what this process has learned before.
	if stateOf(err) == "OS002" {
		r.asking.Forget("") // a question that is under way may get the old answer
		r.hashed.Store(nil)
		row, err = selectByToken(ctx, r, k.Token, fn, byToken)
	}
	return row, err
}

func selectByToken[T any](ctx context.Context, r *Reader, token string, fn pgx.RowToFunc[*T], sql string) (*T, error) {
	hashed, err := r.tokensHashed(ctx)
	if err != nil {
		return nil, err
	}
	if hashed {
		sum := sha256.Sum256([]byte(token))
		token = hex.EncodeToString(sum[:])
	}
	return selectOne(ctx, r.db, fn, sql, token, hashed)
}

func selectOne[T any](ctx context.Context, db *postgres.DB, fn pgx.RowToFunc[*T], sql string, args ...any) (*T, error) {
	row, err := postgres.QueryOne(ctx, db, fn, sql, args...)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, ErrNotFound
	case stateOf(err) == "OS001": // session ids are serial numbers
		return nil, ErrIDRefused
	}
	return row, err
}

// stateOf returns the SQLSTATE of err. The adapter has some of its own.
func stateOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}
