package characters

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/characterrules"
	"github.com/osirose-new/database-service/shared/postgres"
)

// Repository reads characters through the cache and writes them to the database.
type Repository struct {
	db     *postgres.DB
	cache  *cache.Cache
	single *cache.Kind // FULL, of any owner
	lists  *cache.Kind // BASIC, by owner
}

// NewRepository returns a Repository on db and c.
func NewRepository(db *postgres.DB, c *cache.Cache) *Repository {
	r := &Repository{db: db, cache: c}
	message := (*databasev1.Character)(nil)
	r.single = c.Kind("character:", cache.Fingerprint(selectCharacterSQL, message), r.loadOne)
	r.lists = c.Kind("characters:", cache.Fingerprint(selectCharactersSQL, message), r.loadList)
	return r
}

const (
	basicColumns = `
       c.id, c.user_id::text AS user_id, c.slot, c.name, c.version, c.level, c.job, c.money, c.looks, c.stats,
       c.position, c.equipment, c.play_seconds, c.created_at, c.updated_at, c.last_played_at, c.delete_at, now() AS now`
	fullColumns = basicColumns + `, c.inventory, c.skills, c.extra`

	visible = characterrules.Visible
	due     = characterrules.Due
	finish  = characterrules.Finish

	// owned matches the character if it is the request's user's, or if the request names no user.
	owned = `c.id = @id AND (@user_id = '' OR c.user_id = game.user_id(@user_id))`

	selectCharacterSQL = `SELECT` + fullColumns + `
  FROM game.character AS c
 WHERE c.id = @id
   AND ` + visible

	selectCharactersSQL = `SELECT` + basicColumns + `
  FROM game.character AS c
 WHERE c.user_id = game.user_id(@user_id)
   AND ` + visible + `
 ORDER BY c.slot`

	selectFullCharactersSQL = `SELECT` + fullColumns + `
  FROM game.character AS c
 WHERE c.user_id = game.user_id(@user_id)
   AND ` + visible + `
 ORDER BY c.slot`
)

// present sets the fields that depend on now, the database's clock. It returns false if the deadline has passed. In a cached
// reply, now may be up to 1 s behind that clock and is never ahead of it (see [cache.Entry]). So a character is never hidden
// while Restore, which asks the database, can still restore it.
func present(c *databasev1.Character, now time.Time) bool {
	c.State = databasev1.CharacterState_CHARACTER_STATE_ACTIVE
	if c.DeleteAt == nil {
		return true
	}
	left := c.DeleteAt.AsTime().Sub(now)
	c.State = databasev1.CharacterState_CHARACTER_STATE_PENDING_DELETION
	c.SecondsUntilDeletion = int64(math.Ceil(left.Seconds()))
	return left > 0
}

// reduce removes from a FULL character what BASIC leaves out.
func reduce(c *databasev1.Character) { c.Inventory, c.Skills, c.Extra = nil, nil, nil }

// ByID returns the FULL character of any owner, at most 1 s old.
func (r *Repository) ByID(ctx context.Context, id int64) (*databasev1.Character, error) {
	e, err := r.single.Get(ctx, strconv.FormatInt(id, 10))
	if err != nil {
		return nil, err
	}
	c := &databasev1.Character{}
	if err := proto.Unmarshal(e.Bytes, c); err != nil {
		return nil, err
	}
	if !present(c, e.Now) {
		return nil, errNotFound
	}
	return c, nil
}

func (r *Repository) loadOne(ctx context.Context, id string) (cache.Entry, error) {
	row, err := postgres.QueryOne(ctx, r.db, scanFull, selectCharacterSQL, postgres.Args{"id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return cache.Entry{}, errNotFound
	}
	if err != nil {
		return cache.Entry{}, err
	}
	c, err := row.proto()
	if err != nil {
		return cache.Entry{}, err
	}
	b, err := proto.Marshal(c)
	return cache.Entry{Bytes: b, Now: row.Now}, err
}

// List returns the user's characters by slot, BASIC ones at most 1 s old.
func (r *Repository) List(ctx context.Context, userID string) ([]*databasev1.Character, error) {
	e, err := r.lists.Get(ctx, userID)
	if errors.Is(err, errNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l := &databasev1.GetCharacterListResponse{}
	if err := proto.Unmarshal(e.Bytes, l); err != nil {
		return nil, err
	}
	there := l.Characters[:0]
	for _, c := range l.Characters {
		if present(c, e.Now) {
			there = append(there, c)
		}
	}
	return there, nil
}

// errNone is for the list of an unknown user. It must not get into Redis: a caller may send a token as the user's id by
// mistake, which would stay there as a key.
var errNone = errors.New("no such user, and no characters")

// emptyTTL is how long Redis keeps a user's empty list.
const emptyTTL = 10 * time.Second

const selectIsUserSQL = `SELECT EXISTS (SELECT FROM game.users AS u WHERE u.id = game.user_id(@user_id))`

func (r *Repository) loadNone(ctx context.Context, userID string) (cache.Entry, error) {
	known, err := postgres.QueryOne(ctx, r.db, pgx.RowTo[bool], selectIsUserSQL, postgres.Args{"user_id": userID})
	if err == nil && !known {
		err = errNone
	}
	return cache.Entry{Now: time.Now(), TTL: emptyTTL}, err // nothing in an empty list depends on the clock
}

func (r *Repository) loadList(ctx context.Context, userID string) (cache.Entry, error) {
	rows, err := postgres.QueryAll(ctx, r.db, scanBasic, selectCharactersSQL, postgres.Args{"user_id": userID})
	if err != nil {
		return cache.Entry{}, err
	}
	if len(rows) == 0 {
		return r.loadNone(ctx, userID)
	}
	l := &databasev1.GetCharacterListResponse{}
	var e cache.Entry
	for _, row := range rows {
		c, err := row.proto()
		if err != nil {
			return cache.Entry{}, err
		}
		l.Characters = append(l.Characters, c)
		e.Now = row.Now
	}
	e.Bytes, err = proto.Marshal(l)
	return e, err
}

// FullList returns the user's FULL characters by slot, from the database.
func (r *Repository) FullList(ctx context.Context, userID string) ([]*databasev1.Character, error) {
	rows, err := postgres.QueryAll(ctx, r.db, scanFull, selectFullCharactersSQL, postgres.Args{"user_id": userID})
	if err != nil {
		return nil, err
	}
	var l []*databasev1.Character
	for _, row := range rows {
		c, err := row.proto()
		if err != nil {
			return nil, err
		}
		if present(c, row.Now) {
			l = append(l, c)
		}
	}
	return l, nil
}

// write runs one statement that returns at most one row, and invalidates the cache before the caller gets its answer. It
// does so too if the result of the commit is unknown. userID may be empty.
func write[T any](ctx context.Context, r *Repository, id int64, userID string, sql string, args postgres.Args) (*T, error) {
	var row *T
	err := r.db.Write(ctx, func(ctx context.Context, q postgres.Querier) error {
		rows, err := q.Query(ctx, sql, args)
		if err != nil {
			return err
		}
		row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[T])
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) || errors.Is(err, postgres.ErrOverloaded) {
		return nil, err // nothing was written
	}
	if o, ok := any(row).(interface{ owner() (int64, string) }); ok && row != nil {
		id, userID = o.owner()
	}
	r.invalidate(ctx, id, userID)
	return row, err
}

// invalidate is also for the answer to a retry: the process that made the change may have died before it invalidated.
func (r *Repository) invalidate(ctx context.Context, id int64, userID string) {
	var keys []string
	if id != 0 {
		keys = append(keys, "character:"+strconv.FormatInt(id, 10))
	}
	if userID != "" {
		keys = append(keys, "characters:"+userID)
	}
	r.cache.Invalidate(ctx, keys...)
}
