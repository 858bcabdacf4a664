package staff

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

const (
	noteColumns = `n.id, n.user_id::text AS user_id, n.who, n.at, n.text`

	addNoteSQL = `
WITH n AS (
	INSERT INTO game.note (who, user_id, text)
	SELECT @who, p.id, @text
	  FROM (SELECT u.id FROM game.users AS u WHERE u.id = game.user_id(@user_id)
	         UNION SELECT c.user_id FROM game.character AS c WHERE c.user_id = game.user_id(@user_id)) AS p
	RETURNING *
), audited AS (
	INSERT INTO game.audit (who, action, user_id, reason, request_id, request_hash, after)
	SELECT n.who, 'AddNote', n.user_id, '', @request_id, @request_hash, jsonb_build_object('note_id', n.id) FROM n
)
SELECT ` + noteColumns + ` FROM n`

	selectReplayedNoteSQL = `SELECT ` + noteColumns + `
  FROM game.audit AS a
  JOIN game.note AS n ON n.id = (a.after->>'note_id')::bigint
 WHERE a.request_id = @request_id`

	selectNotesSQL = `SELECT ` + noteColumns + `
  FROM game.note AS n
 WHERE n.user_id = game.user_id(@user_id)
   AND (@before::bigint = 0 OR n.id < @before::bigint)
 ORDER BY n.id DESC
 LIMIT @limit`

	auditColumns = `SELECT a.id, a.at, a.who, a.action, a.user_id::text AS user_id, coalesce(a.character_id, 0) AS character_id, a.reason,
       a.before::text AS before, a.after::text AS after
  FROM game.audit AS a
 WHERE (@before::bigint = 0 OR a.id < @before::bigint)`
	auditOrder = `
 ORDER BY a.id DESC
 LIMIT @limit`

	selectAuditSQL            = auditColumns + auditOrder
	selectAuditOfCharacterSQL = auditColumns + ` AND a.character_id = @character_id` + auditOrder
	selectAuditOfWhoSQL       = auditColumns + ` AND a.who = @who` + auditOrder
	// Each half by its index.
	selectAuditOfUserSQL = `(` + auditColumns + ` AND a.user_id = game.user_id(@user_id)` + auditOrder + `)
 UNION
(` + auditColumns + ` AND a.from_user_id = game.user_id(@user_id)` + auditOrder + `)
 ORDER BY id DESC
 LIMIT @limit`
)

type noteRow struct {
	ID     int64
	UserID string
	Who    string
	At     time.Time
	Text   string
}

func (r *noteRow) proto() *databasev1.Note {
	return &databasev1.Note{Id: r.ID, UserId: r.UserID, Who: r.Who, At: timestamppb.New(r.At), Text: r.Text}
}

// AddNote adds a note about a user who is there, or who has characters.
func (r *Repository) AddNote(ctx context.Context, user, text string, requestID *string, hash []byte) (n *databasev1.Note, replayed bool, err error) {
	args := postgres.Args{"who": rpcserver.Who(ctx), "user_id": user, "text": text, "request_id": requestID, "request_hash": nil}
	if requestID != nil {
		args["request_hash"] = hash
	}
	var row *noteRow
	for range 2 { // another request with the same id may come between
		earlier, err := r.earlier(ctx, requestID, hash)
		if err != nil {
			return nil, false, err
		}
		if earlier != nil {
			row, err = postgres.QueryOne(ctx, r.db, pgx.RowToAddrOfStructByName[noteRow], selectReplayedNoteSQL, postgres.Args{"request_id": requestID})
			if err != nil {
				return nil, false, err
			}
			return row.proto(), true, nil
		}
		err = r.db.Write(ctx, func(ctx context.Context, q postgres.Querier) error {
			rows, err := q.Query(ctx, addNoteSQL, args)
			if err != nil {
				return err
			}
			row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[noteRow])
			return err
		})
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil, false, errUserNotFound
		case err == nil:
			return row.proto(), false, nil
		case !isTaken(err):
			return nil, false, err
		}
	}
	return nil, false, errRequestIDReused
}

// Notes returns the notes about a user.
func (r *Repository) Notes(ctx context.Context, user string, p page) ([]*databasev1.Note, error) {
	rows, err := postgres.QueryAll(ctx, r.db, pgx.RowToAddrOfStructByName[noteRow], selectNotesSQL,
		postgres.Args{"user_id": user, "before": p.before, "limit": p.limit})
	var notes []*databasev1.Note
	for _, row := range rows {
		notes = append(notes, row.proto())
	}
	return notes, err
}

// auditFilter chooses rows of the audit. At most one field is set.
type auditFilter struct {
	userID      string
	characterID int64
	who         string
}

type auditRow struct {
	ID            int64
	At            time.Time
	Who, Action   string
	UserID        string
	CharacterID   int64
	Reason        string
	Before, After string
}

func (r *auditRow) proto() (*databasev1.AuditEntry, error) {
	e := &databasev1.AuditEntry{
		Id: r.ID, At: timestamppb.New(r.At), Who: r.Who, Action: r.Action, UserId: r.UserID, CharacterId: r.CharacterID, Reason: r.Reason,
		Before: &structpb.Struct{}, After: &structpb.Struct{},
	}
	return e, errors.Join(protojson.Unmarshal([]byte(r.Before), e.Before), protojson.Unmarshal([]byte(r.After), e.After))
}

// Audit returns rows of the audit.
func (r *Repository) Audit(ctx context.Context, f auditFilter, p page) ([]*databasev1.AuditEntry, error) {
	sql, args := selectAuditSQL, postgres.Args{"before": p.before, "limit": p.limit}
	switch {
	case f.userID != "":
		sql, args["user_id"] = selectAuditOfUserSQL, f.userID
	case f.characterID != 0:
		sql, args["character_id"] = selectAuditOfCharacterSQL, f.characterID
	case f.who != "":
		sql, args["who"] = selectAuditOfWhoSQL, f.who
	}
	rows, err := postgres.QueryAll(ctx, r.db, pgx.RowToAddrOfStructByName[auditRow], sql, args)
	if err != nil {
		return nil, err
	}
	var entries []*databasev1.AuditEntry
	for _, row := range rows {
		e, err := row.proto()
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}
