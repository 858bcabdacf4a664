// Package staff implements StaffService: it finds players, shows what they have, changes what players cannot change themselves, and
// keeps an audit.
//
// Each change is one statement that also writes its row of the audit. So a process that dies leaves both or none.
package staff

import (
	"context"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characterrules"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/requestid"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

var _ databasev1.StaffService = (*Service)(nil)

// Limits in bytes and rows.
const (
	maxText      = 256 // an id, a name, an e-mail address
	maxReason    = 500
	maxNote      = 2000
	defaultLimit = 20
	maxLimit     = 100
)

// Config of a Service. It has the fields of characters.Config that matter here. Zero: the same defaults.
type Config struct {
	Slots            int
	NameMin, NameMax int
	NamesReserved    []string
}

// ConfigOf returns the rules for characters.
func ConfigOf(c config.Characters) Config {
	return Config{Slots: c.Slots, NameMin: c.NameMin, NameMax: c.NameMax, NamesReserved: c.NamesReserved}
}

// Service is StaffService.
type Service struct {
	repository *Repository
	slots      int32
	names      characterrules.Names
}

// NewService returns a StaffService.
func NewService(r *Repository, c Config) *Service {
	if c.Slots == 0 {
		c.Slots = characterrules.DefaultSlots
	}
	return &Service{
		repository: r, slots: int32(min(c.Slots, characterrules.MaxSlots)), names: characterrules.NewNames(c.NameMin, c.NameMax, c.NamesReserved),
	}
}

// GetPlayer implements databasev1.StaffService.
func (s *Service) GetPlayer(ctx context.Context, r *databasev1.GetPlayerRequest) (*databasev1.GetPlayerResponse, error) {
	if err := rpcserver.CheckText("user_id", r.UserId, maxText); err != nil {
		return nil, err
	}
	if r.Reason != "" {
		if err := rpcserver.CheckText("reason", r.Reason, maxReason); err != nil {
			return nil, err
		}
	}
	return s.repository.Player(ctx, r.UserId, r.Reason, s.slots)
}

// UndeleteCharacter implements databasev1.StaffService.
func (s *Service) UndeleteCharacter(ctx context.Context, r *databasev1.UndeleteCharacterRequest) (*databasev1.UndeleteCharacterResponse, error) {
	c, err := s.change(r.CharacterId, r.Reason, r.RequestId, r.Slot)
	if err != nil {
		return nil, err
	}
	if r.NewName != "" {
		if err := s.names.Check("new_name", r.NewName); err != nil {
			return nil, err
		}
	}
	c.name, c.hash = r.NewName, requestid.Hash(r, "request_id")
	got, replayed, err := s.repository.Undelete(ctx, c)
	if err != nil {
		return nil, err
	}
	return &databasev1.UndeleteCharacterResponse{Character: got, Replayed: replayed}, nil
}

// RenameCharacter implements databasev1.StaffService.
func (s *Service) RenameCharacter(ctx context.Context, r *databasev1.RenameCharacterRequest) (*databasev1.RenameCharacterResponse, error) {
	c, err := s.change(r.CharacterId, r.Reason, r.RequestId, nil)
	if err != nil {
		return nil, err
	}
	if err := s.names.Check("new_name", r.NewName); err != nil {
		return nil, err
	}
	if r.ExpectedName != "" {
		if err := rpcserver.CheckText("expected_name", r.ExpectedName, characterrules.MaxNameLen); err != nil {
			return nil, err
		}
	}
	c.name, c.expectedName, c.hash = r.NewName, r.ExpectedName, requestid.Hash(r, "request_id")
	got, replayed, err := s.repository.Rename(ctx, c)
	if err != nil {
		return nil, err
	}
	return &databasev1.RenameCharacterResponse{Character: got, Replayed: replayed}, nil
}

// TransferCharacter implements databasev1.StaffService.
func (s *Service) TransferCharacter(ctx context.Context, r *databasev1.TransferCharacterRequest) (*databasev1.TransferCharacterResponse, error) {
	if err := rpcserver.CheckText("from_user_id", r.FromUserId, maxText); err != nil {
		return nil, err
	}
	if err := rpcserver.CheckText("to_user_id", r.ToUserId, maxText); err != nil {
		return nil, err
	}
	if r.FromUserId == r.ToUserId {
		return nil, rpcserver.InvalidArgument("to_user_id", "is the same as from_user_id")
	}
	c, err := s.change(r.CharacterId, r.Reason, r.RequestId, r.Slot)
	if err != nil {
		return nil, err
	}
	c.from, c.to, c.hash = r.FromUserId, r.ToUserId, requestid.Hash(r, "request_id")
	got, replayed, err := s.repository.Transfer(ctx, c)
	if err != nil {
		return nil, err
	}
	return &databasev1.TransferCharacterResponse{Character: got, Replayed: replayed}, nil
}

// change checks what all changes of characters have.
func (s *Service) change(id int64, reason, requestID string, slot *int32) (change, error) {
	if id < 1 {
		return change{}, rpcserver.InvalidArgument("character_id", "is required and positive")
	}
	if err := rpcserver.CheckText("reason", reason, maxReason); err != nil {
		return change{}, err
	}
	if slot != nil && (*slot < 0 || *slot >= s.slots) {
		return change{}, rpcserver.InvalidArgument("slot", "is no slot of a user")
	}
	checked, err := requestid.Check("request_id", requestID)
	return change{id: id, reason: reason, requestID: checked, slot: slot, slots: s.slots}, err
}

// AddNote implements databasev1.StaffService.
func (s *Service) AddNote(ctx context.Context, r *databasev1.AddNoteRequest) (*databasev1.AddNoteResponse, error) {
	if err := rpcserver.CheckText("user_id", r.UserId, maxText); err != nil {
		return nil, err
	}
	if err := rpcserver.CheckText("text", r.Text, maxNote); err != nil {
		return nil, err
	}
	requestID, err := requestid.Check("request_id", r.RequestId)
	if err != nil {
		return nil, err
	}
	note, replayed, err := s.repository.AddNote(ctx, r.UserId, r.Text, requestID, requestid.Hash(r, "request_id"))
	if err != nil {
		return nil, err
	}
	return &databasev1.AddNoteResponse{Note: note, Replayed: replayed}, nil
}

// ListNotes implements databasev1.StaffService.
func (s *Service) ListNotes(ctx context.Context, r *databasev1.ListNotesRequest) (*databasev1.ListNotesResponse, error) {
	if err := rpcserver.CheckText("user_id", r.UserId, maxText); err != nil {
		return nil, err
	}
	p, err := pageOf(r.Limit, r.Before)
	if err != nil {
		return nil, err
	}
	notes, err := s.repository.Notes(ctx, r.UserId, p)
	if err != nil {
		return nil, err
	}
	return &databasev1.ListNotesResponse{Notes: notes}, nil
}

// ListAudit implements databasev1.StaffService.
func (s *Service) ListAudit(ctx context.Context, r *databasev1.ListAuditRequest) (*databasev1.ListAuditResponse, error) {
	var f auditFilter
	switch of := r.Of.(type) {
	case *databasev1.ListAuditRequest_UserId:
		if err := rpcserver.CheckText("user_id", of.UserId, maxText); err != nil {
			return nil, err
		}
		f.userID = of.UserId
	case *databasev1.ListAuditRequest_CharacterId:
		if of.CharacterId < 1 {
			return nil, rpcserver.InvalidArgument("character_id", "is not positive")
		}
		f.characterID = of.CharacterId
	case *databasev1.ListAuditRequest_Who:
		if err := rpcserver.CheckText("who", of.Who, maxText); err != nil {
			return nil, err
		}
		f.who = of.Who
	}
	p, err := pageOf(r.Limit, r.Before)
	if err != nil {
		return nil, err
	}
	entries, err := s.repository.Audit(ctx, f, p)
	if err != nil {
		return nil, err
	}
	return &databasev1.ListAuditResponse{Entries: entries}, nil
}

// page is a part of a list whose newest rows come first.
type page struct {
	limit  int32
	before int64 // 0: from the newest on
}

func pageOf(limit int32, before int64) (page, error) {
	limit, err := limitOf(limit)
	if err != nil {
		return page{}, err
	}
	if before < 0 {
		return page{}, rpcserver.InvalidArgument("before", "is negative")
	}
	return page{limit, before}, nil
}

func limitOf(limit int32) (int32, error) {
	switch {
	case limit < 0 || limit > maxLimit:
		return 0, rpcserver.InvalidArgument("limit", "is not within 0 and 100")
	case limit == 0:
		return defaultLimit, nil
	}
	return limit, nil
}
