package characters

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

type basicRow struct {
	ID           int64
	UserID       string
	Slot         int32
	Name         string
	Version      int64
	Level        int32
	Job          int32
	Money        int64
	Looks        string
	Stats        string
	Position     string
	Equipment    string
	PlaySeconds  int64
	CreatedAt    time.Time
	UpdatedAt    time.Time
	LastPlayedAt *time.Time
	DeleteAt     *time.Time
	Now          time.Time
}

type fullRow struct {
	basicRow
	Inventory string
	Skills    string
	Extra     string
}

// targets are where a row goes, in the order of basicColumns.
func (r *basicRow) targets() []any {
	return []any{
		&r.ID, &r.UserID, &r.Slot, &r.Name, &r.Version, &r.Level, &r.Job, &r.Money, &r.Looks, &r.Stats,
		&r.Position, &r.Equipment, &r.PlaySeconds, &r.CreatedAt, &r.UpdatedAt, &r.LastPlayedAt, &r.DeleteAt, &r.Now,
	}
}

// scanBasic and scanFull read rows of exactly basicColumns and fullColumns. They avoid the reflection of pgx's collectors.
func scanBasic(row pgx.CollectableRow) (*basicRow, error) {
	r := &basicRow{}
	return r, row.Scan(r.targets()...)
}

func scanFull(row pgx.CollectableRow) (*fullRow, error) {
	r := &fullRow{}
	return r, row.Scan(append(r.targets(), &r.Inventory, &r.Skills, &r.Extra)...)
}

// proto returns the row as it is cached. [present] adds what depends on the time of the reply.
func (r *basicRow) proto() (*databasev1.Character, error) {
	equipment := &databasev1.EquipmentSet{}
	c := &databasev1.Character{
		Id: r.ID, UserId: r.UserID, Name: r.Name, Money: r.Money, CreatedAt: timestamppb.New(r.CreatedAt),
		UpdatedAt: timestamppb.New(r.UpdatedAt), Version: r.Version, Slot: r.Slot, PlaySeconds: r.PlaySeconds,
		Level: r.Level, Job: r.Job,
		Looks: &databasev1.Looks{}, Stats: &databasev1.Stats{}, Position: &databasev1.Position{},
	}
	if r.DeleteAt != nil {
		c.DeleteAt = timestamppb.New(*r.DeleteAt)
	}
	if r.LastPlayedAt != nil {
		c.LastPlayedAt = timestamppb.New(*r.LastPlayedAt)
	}
	err := errors.Join(decode(r.Looks, c.Looks), decode(r.Stats, c.Stats), decode(r.Position, c.Position), decode(r.Equipment, equipment))
	c.Equipment = equipment.Items
	return c, err
}

func (r *fullRow) proto() (*databasev1.Character, error) {
	c, err := r.basicRow.proto()
	c.Inventory, c.Skills, c.Extra = &databasev1.Inventory{}, &databasev1.SkillBook{}, &structpb.Struct{}
	return c, errors.Join(err, decode(r.Inventory, c.Inventory), decode(r.Skills, c.Skills), decode(r.Extra, c.Extra))
}

func (r *basicRow) owner() (int64, string) { return r.ID, r.UserID }
