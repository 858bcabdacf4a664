package systemtest_test

import (
	"strings"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// machineSlots is the maximum number of characters of a user. It is small, so that random calls reach it.
const machineSlots = 3

// model implements the contract of users, sessions and characters without a database. It identifies them by number.
type model struct {
	users      []*modelUser
	sessions   []*modelSession
	characters []*modelCharacter
}

type modelUser struct {
	name          string
	banned, there bool
}

type modelSession struct {
	user              int
	there, over, long bool
}

type modelCharacter struct {
	seenCharacter
	gone, due  bool // gone: deleted; due: its deletion time has passed
	again      bool // deleted immediately; the deletion may be repeated
	request    modelCreate
	save       string
	saved      int64 // the version that the save created
	savedMoney int64
}

// seenCharacter is a character in an answer.
type seenCharacter struct {
	Number, User  int
	Name          string
	Slot, Level   int32
	Version       int64
	Money         int64
	State         databasev1.CharacterState
	CountsDown    bool
	WithInventory bool
}

type modelCreate struct {
	user     int
	name, id string
	money    int64
}

func (c *modelCharacter) visible() bool { return !c.gone && !c.due }

// seen returns the character as an answer contains it.
func (c *modelCharacter) seen(view databasev1.CharacterView) seenCharacter {
	s := c.seenCharacter
	s.CountsDown = s.State == isMarked
	s.WithInventory = view != basicView
	return s
}

// create returns the character that the request creates or has created before.
func (m *model) create(r modelCreate) (c *modelCharacter, replayed bool, f fault) {
	slots := map[int32]bool{}
	taken := false
	for _, c := range m.characters {
		if c.request.user == r.user && c.request.id == r.id {
			if c.visible() && c.request == r {
				return c, true, none
			}
			return nil, false, fault{twirp.InvalidArgument, "REQUEST_ID_REUSED"}
		}
		slots[c.Slot] = slots[c.Slot] || c.visible() && c.User == r.user
		taken = taken || c.visible() && strings.EqualFold(c.Name, r.name)
	}
	u := m.users[r.user]
	slot := int32(0)
	for slots[slot] {
		slot++
	}
	switch {
	case !u.there:
		return nil, false, noSuchUser
	case u.banned:
		return nil, false, fault{twirp.FailedPrecondition, "CREATION_BLOCKED"}
	case taken:
		return nil, false, fault{twirp.AlreadyExists, "NAME_TAKEN"}
	case slot == machineSlots:
		return nil, false, fault{twirp.FailedPrecondition, "SLOTS_FULL"}
	}
	c = &modelCharacter{request: r}
	c.seenCharacter = seenCharacter{
		Number: len(m.characters), User: r.user, Name: r.name, Slot: slot, Level: 1, Version: 1, Money: r.money, State: isActive,
	}
	m.characters = append(m.characters, c)
	return c, false, none
}

// saveAs returns the new version, or the current version if the save is refused because of it.
func (c *modelCharacter) saveAs(id string, expected, money int64) (version int64, replayed bool, f fault) {
	switch {
	case !c.visible():
		return 0, false, noSuchCharacter
	case expected == c.Version:
		c.Version++
		c.Money, c.savedMoney, c.save, c.saved = money, money, id, c.Version
		return c.Version, false, none
	case id == c.save && c.saved == expected+1 && money != c.savedMoney:
		return 0, false, fault{twirp.InvalidArgument, "REQUEST_ID_REUSED"}
	case id == c.save && c.saved == expected+1:
		return c.saved, true, none
	}
	return c.Version, false, fault{twirp.Aborted, "VERSION_MISMATCH"}
}

func (c *modelCharacter) delete(mode databasev1.DeleteMode, name string) fault {
	switch {
	case !c.visible() && (mode != atOnce || !c.again):
		return noSuchCharacter
	case name != "" && name != c.Name:
		return fault{twirp.FailedPrecondition, "NAME_MISMATCH"}
	case c.visible() && mode == atOnce:
		c.Version++
		c.State, c.gone, c.again = isDeleted, true, true
	case mode != atOnce && c.State == isActive:
		c.Version++
		c.State = isMarked
	}
	return none
}

func (c *modelCharacter) restore() fault {
	if !c.visible() {
		return noSuchCharacter
	}
	if c.State == isMarked {
		c.Version++
		c.State = isActive
	}
	return none
}

// list returns a user's characters by slot.
func (m *model) list(user int, view databasev1.CharacterView, withoutMarked bool) (l []seenCharacter) {
	if view == 0 {
		view = basicView
	}
	for slot := range int32(machineSlots) {
		for _, c := range m.characters {
			if c.visible() && c.User == user && c.Slot == slot && (c.State == isActive || !withoutMarked) {
				l = append(l, c.seen(view))
			}
		}
	}
	return l
}

// removeUser is a deletion by the web application.
func (m *model) removeUser(user int) {
	m.users[user].there = false
	for _, s := range m.sessions {
		s.there = s.there && s.user != user
	}
	for _, c := range m.characters {
		if c.User == user && c.visible() {
			c.Version++
			c.State, c.gone, c.again = isDeleted, true, true
		}
	}
}

func (m *model) session(n int) fault {
	switch s := m.sessions[n]; {
	case !s.there:
		return noSuchSession
	case s.over:
		return expired
	}
	return none
}

// refresh returns whether it moved the expiry.
func (m *model) refresh(n int) (extended bool, f fault) {
	if f := m.session(n); f != none {
		return false, f
	}
	s := m.sessions[n]
	if m.users[s.user].banned {
		return false, userBanned
	}
	extended = !s.long
	s.long = true
	return extended, none
}
