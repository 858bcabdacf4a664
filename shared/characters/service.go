// Package characters implements CharacterDbService. This service owns the characters. The database enforces every rule
// that it can: unique names, one character per slot, no negative money.
//
// A single character and a BASIC list come through the cache: they are at most 1 s stale, and never older than a write that
// this service has acknowledged (see package cache for the exceptions). A FULL list comes from the database.
//
// Every deadline is compared with the database's clock. Writes and FULL lists do so exactly. A cached reply knows that
// clock from Redis and errs on the late side: it hides a character at its deadline or up to 1 s later, never before. Then no
// write can restore that character any more.
package characters

import (
	"context"
	"strings"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characterrules"
	"github.com/osirose-new/database-service/shared/requestid"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

var _ databasev1.CharacterDbService = (*Service)(nil)

const (
	// DefaultSlots is how many characters a user may have.
	DefaultSlots = characterrules.DefaultSlots
	// DefaultDeleteDelay is the time in which a marked character can be restored.
	DefaultDeleteDelay = 24 * time.Hour

	maxUserID         = 256 // bytes
	maxAddPlaySeconds = 7 * 24 * 3600
)

// Config of a Service.
type Config struct {
	Slots       int           // default DefaultSlots, at most 32
	DeleteDelay time.Duration // default DefaultDeleteDelay

	// The rules for names can only be stricter than the database's CHECK.
	NameMin, NameMax int      // in bytes; 0: 4 and 20
	NamesReserved    []string // besides the built-in words
}

// Service is CharacterDbService.
type Service struct {
	repository  *Repository
	slots       int32
	deleteDelay time.Duration
	names       characterrules.Names
}

// NewService returns a CharacterDbService.
func NewService(r *Repository, c Config) *Service {
	if c.Slots == 0 {
		c.Slots = DefaultSlots
	}
	if c.DeleteDelay == 0 {
		c.DeleteDelay = DefaultDeleteDelay
	}
	return &Service{repository: r, slots: int32(min(c.Slots, characterrules.MaxSlots)), deleteDelay: c.DeleteDelay, names: characterrules.NewNames(c.NameMin, c.NameMax, c.NamesReserved)}
}

// GetCharacter implements databasev1.CharacterDbService.
func (s *Service) GetCharacter(ctx context.Context, r *databasev1.GetCharacterRequest) (*databasev1.GetCharacterResponse, error) {
	if err := checkTarget(r.CharacterId, r.UserId, false); err != nil {
		return nil, err
	}
	if err := checkView(r.View); err != nil {
		return nil, err
	}
	c, err := s.repository.ByID(ctx, r.CharacterId)
	if err != nil {
		return nil, err
	}
	if r.UserId != "" && r.UserId != c.UserId {
		return nil, errNotFound
	}
	if r.View == databasev1.CharacterView_CHARACTER_VIEW_BASIC {
		reduce(c)
	}
	return &databasev1.GetCharacterResponse{Character: c}, nil
}

// GetCharacterList implements databasev1.CharacterDbService.
func (s *Service) GetCharacterList(ctx context.Context, r *databasev1.GetCharacterListRequest) (*databasev1.GetCharacterListResponse, error) {
	if err := rpcserver.CheckText("user_id", r.UserId, maxUserID); err != nil {
		return nil, err
	}
	if err := checkView(r.View); err != nil {
		return nil, err
	}
	list := s.repository.List
	if r.View == databasev1.CharacterView_CHARACTER_VIEW_FULL {
		list = s.repository.FullList
	}
	all, err := list(ctx, r.UserId)
	if err != nil {
		return nil, err
	}
	wanted := all[:0]
	for _, c := range all {
		if !r.ExcludePendingDeletion || c.DeleteAt == nil {
			wanted = append(wanted, c)
		}
	}
	return &databasev1.GetCharacterListResponse{Characters: wanted, MaxSlots: s.slots}, nil
}

// CreateCharacter implements databasev1.CharacterDbService.
func (s *Service) CreateCharacter(ctx context.Context, r *databasev1.CreateCharacterRequest) (*databasev1.CreateCharacterResponse, error) {
	n, err := s.checkCreate(r)
	if err != nil {
		return nil, err
	}
	c, replayed, err := s.repository.Create(ctx, n)
	if err != nil {
		return nil, err
	}
	return &databasev1.CreateCharacterResponse{Character: c, Replayed: replayed}, nil
}

func (s *Service) checkCreate(r *databasev1.CreateCharacterRequest) (creation, error) {
	if err := rpcserver.CheckText("user_id", r.UserId, maxUserID); err != nil {
		return creation{}, err
	}
	if err := s.names.Check("name", r.Name); err != nil {
		return creation{}, err
	}
	requestID, err := requestid.Check("request_id", r.RequestId)
	if err != nil {
		return creation{}, err
	}
	if err := checkScalars(&r.Level, &r.Job, &r.Money, 0); err != nil {
		return creation{}, err
	}
	d := documents{looks: r.Looks, stats: r.Stats, position: r.Position, inventory: r.Inventory, skills: r.Skills, extra: r.Extra}
	if len(r.Equipment) > 0 {
		d.equipment = &databasev1.EquipmentSet{Items: r.Equipment}
	}
	if err := d.check(); err != nil {
		return creation{}, err
	}
	n := creation{userID: r.UserId, name: r.Name, level: max(r.Level, startLevel), job: r.Job, money: r.Money, slots: s.slots, requestID: requestID}
	if requestID != nil {
		n.requestHash = requestid.Hash(r, "request_id")
	}
	if d.stats == nil {
		d.stats = startStats()
	}
	if d.position == nil {
		d.position = startPosition()
	}
	n.documents, err = d.columns()
	return n, err
}

// DeleteCharacter implements databasev1.CharacterDbService.
func (s *Service) DeleteCharacter(ctx context.Context, r *databasev1.DeleteCharacterRequest) (*databasev1.DeleteCharacterResponse, error) {
	if err := checkTarget(r.CharacterId, r.UserId, true); err != nil {
		return nil, err
	}
	if len(r.ExpectedName) > characterrules.MaxNameLen {
		return nil, rpcserver.InvalidArgument("expected_name", "is longer than a name")
	}
	if strings.IndexByte(r.ExpectedName, 0) >= 0 {
		return nil, rpcserver.InvalidArgument("expected_name", "has a NUL in it")
	}
	var c *databasev1.Character
	var err error
	switch r.Mode {
	case databasev1.DeleteMode_DELETE_MODE_UNSPECIFIED, databasev1.DeleteMode_DELETE_MODE_SCHEDULED:
		c, err = s.repository.Schedule(ctx, r.CharacterId, r.UserId, r.ExpectedName, s.deleteDelay)
	case databasev1.DeleteMode_DELETE_MODE_IMMEDIATE:
		c, err = s.repository.Delete(ctx, r.CharacterId, r.UserId, r.ExpectedName)
	default:
		err = rpcserver.InvalidArgument("mode", "is unknown")
	}
	if err != nil {
		return nil, err
	}
	return &databasev1.DeleteCharacterResponse{Character: c, RemainingSeconds: c.SecondsUntilDeletion}, nil
}

// RestoreCharacter implements databasev1.CharacterDbService.
func (s *Service) RestoreCharacter(ctx context.Context, r *databasev1.RestoreCharacterRequest) (*databasev1.RestoreCharacterResponse, error) {
	if err := checkTarget(r.CharacterId, r.UserId, true); err != nil {
		return nil, err
	}
	c, err := s.repository.Restore(ctx, r.CharacterId, r.UserId)
	if err != nil {
		return nil, err
	}
	return &databasev1.RestoreCharacterResponse{Character: c}, nil
}

// SaveCharacter implements databasev1.CharacterDbService.
func (s *Service) SaveCharacter(ctx context.Context, r *databasev1.SaveCharacterRequest) (*databasev1.SaveCharacterResponse, error) {
	n, err := checkSave(r)
	if err != nil {
		return nil, err
	}
	version, replayed, err := s.repository.Save(ctx, n)
	if err != nil {
		return nil, err
	}
	return &databasev1.SaveCharacterResponse{Version: version, Replayed: replayed}, nil
}

func checkSave(r *databasev1.SaveCharacterRequest) (saving, error) {
	if err := checkTarget(r.CharacterId, r.UserId, false); err != nil {
		return saving{}, err
	}
	if r.ExpectedVersion < 1 {
		return saving{}, rpcserver.InvalidArgument("expected_version", "is required and positive")
	}
	saveID, err := requestid.Check("save_id", r.SaveId)
	if err != nil {
		return saving{}, err
	}
	if err := checkScalars(r.Level, r.Job, r.Money, 1); err != nil {
		return saving{}, err
	}
	if r.AddPlaySeconds < 0 || r.AddPlaySeconds > maxAddPlaySeconds {
		return saving{}, rpcserver.InvalidArgument("add_play_seconds", "is not within 0 and a week")
	}
	d := documents{looks: r.Looks, stats: r.Stats, position: r.Position, equipment: r.Equipment, inventory: r.Inventory, skills: r.Skills, extra: r.Extra}
	if err := d.check(); err != nil {
		return saving{}, err
	}
	n := saving{
		id: r.CharacterId, userID: r.UserId, expectedVersion: r.ExpectedVersion, saveID: saveID,
		level: r.Level, job: r.Job, money: r.Money, addPlaySeconds: r.AddPlaySeconds,
	}
	if saveID != nil {
		n.saveHash = requestid.Hash(r, "user_id", "save_id")
	}
	n.section, n.uids = d.onlySection()
	n.documents, err = d.columns()
	return n, err
}
