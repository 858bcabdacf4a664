package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/google/uuid"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

const (
	errReason   pageError = "Write why, in at most 500 bytes. The audit keeps it."
	errAction   pageError = "There is no such change."
	errNoChar   pageError = "The player has no such character."
	errDiffers  pageError = "Nothing was changed yet. This is the change with what you typed, and with the character as it is now: look at it, and confirm it."
	errTo       pageError = "Write the username or the id of the new owner."
	errNewName  pageError = "Write a new name. If the character was deleted, another one has its old name now."
	errSlot     pageError = "Write the number of a free slot, or nothing."
	errThere    pageError = "The character is not deleted."
	errSameName pageError = "The character has this name already."
	errGone     pageError = "The character is deleted by now. Bring it back instead: the player's page has the link."
	errNoMark   pageError = "The character has no mark for deletion."
	errOwner    pageError = "The user is the owner already."
)

// change is the content of the page that shows a change and asks for it.
type change struct {
	Action            string // a key of actions
	Title, Button     string
	UserID, NewUserID string
	Player            string // name
	Character         *databasev1.PlayerCharacter
	NewName           string
	Slot              string // empty: the page finds one
	Reason            string
	RequestID         string // so that a second click changes nothing again
	Rows              []difference
	Shown             string // fingerprint of Rows
	NameWas, SlotIs   string // the old name and the new slot of the change that was shown last
}

// difference is one value that changes.
type difference struct{ Field, Before, After string }

// action is a change that staff can ask for.
type action struct {
	title, button string
	need          callers.Rights
	// plan finds the differences, and how to make them.
	plan func(*visit, *change, *databasev1.GetPlayerResponse) (do func(context.Context) error, err error)
}

var actions = map[string]action{
	"undelete": {"Bring back", "Bring back", callers.UndeleteCharacter, (*visit).planUndelete},
	"restore":  {"Remove the mark for deletion", "Remove the mark", callers.UndeleteCharacter, (*visit).planRestore},
	"rename":   {"Rename", "Rename", callers.RenameCharacter, (*visit).planRename},
	"transfer": {"Transfer", "Transfer", callers.TransferCharacter, (*visit).planTransfer},
}

// Can reports whether the person who opens the page may make a change.
func (v visitor) Can(name string) bool { return v.rights.Has(actions[name].need) }

// readChange reads the form, and the character as it is now. With errNoChar it returns a change without a character.
func (v *visit) readChange() (*change, *databasev1.GetPlayerResponse, action, error) {
	c := &change{
		Action: v.FormValue("action"), UserID: v.FormValue("user"), NewUserID: strings.TrimSpace(v.FormValue("to")),
		NewName: strings.TrimSpace(v.FormValue("new_name")), Slot: strings.TrimSpace(v.FormValue("slot")), Reason: strings.TrimSpace(v.PostFormValue("reason")),
		RequestID: v.PostFormValue("request_id"), NameWas: v.PostFormValue("name_was"), SlotIs: v.PostFormValue("slot_is"),
	}
	act, known := actions[c.Action]
	switch {
	case !known:
		return nil, nil, act, errAction
	case !v.rights.Has(act.need):
		return nil, nil, act, rpcserver.NotAllowed(v.rights.Missing(act.need))
	}
	c.Title, c.Button = act.title, act.button
	if c.Action == "restore" {
		c.NewName = "" // it would not be shown
	}
	p, err := v.console.staff.GetPlayer(v.ctx(), &databasev1.GetPlayerRequest{UserId: c.UserID})
	if err != nil {
		return nil, nil, act, err
	}
	c.Player = userName(p.User, c.UserID)
	id := number(v.FormValue("id"))
	for _, each := range p.Characters {
		if each.Id == id {
			c.Character = each
			return c, p, act, nil
		}
	}
	return c, p, act, errNoChar
}

func (c *change) page() answer {
	if c.RequestID == "" {
		c.RequestID = uuid.NewString()
	}
	return answer{template: "change", frame: frame{Title: c.Title + ": " + c.Character.Name, Section: "players", Content: c}}
}

// differ keeps the values that differ.
func (c *change) differ(rows ...difference) {
	for _, r := range rows {
		if r.Before != r.After {
			c.Rows = append(c.Rows, r)
		}
	}
	text, _ := json.Marshal([]any{c.Action, c.Character.Id, c.Rows}) // strings and numbers can be encoded
	sum := sha256.Sum256(text)
	c.Shown = hex.EncodeToString(sum[:])
}

// askChange shows the form, and the change if it needs no input.
func (v *visit) askChange() (answer, error) {
	c, p, act, err := v.readChange()
	if err != nil {
		return answer{}, err
	}
	_, err = act.plan(v, c, p)
	if errors.Is(err, errTo) || errors.Is(err, errNewName) { // not typed yet
		err = nil
	}
	return c.page(), err
}

// showChange shows the change with what was typed. What is shown anew is another request.
func (v *visit) showChange() (answer, error) {
	c, p, act, err := v.readChange()
	if err != nil {
		return answer{}, err
	}
	c.RequestID = ""
	_, err = act.plan(v, c, p)
	return c.page(), err
}

// slot returns the slot that was typed, or first, or the lowest free one of p. If none is free, the service refuses the change.
func (c *change) slot(p *databasev1.GetPlayerResponse, first int32) (int32, error) {
	taken := map[int32]bool{}
	for _, each := range p.Characters {
		if each.DeletedAt == nil {
			taken[each.Slot] = true
		}
	}
	if c.Slot != "" {
		n, err := strconv.ParseInt(c.Slot, 10, 32)
		if err != nil || n < 0 || n >= int64(p.MaxSlots) || taken[int32(n)] {
			return 0, errSlot
		}
		return int32(n), nil
	}
	if first >= 0 && !taken[first] {
		return first, nil
	}
	for n := range p.MaxSlots {
		if !taken[n] {
			return n, nil
		}
	}
	return 0, nil
}
