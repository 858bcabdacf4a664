package console

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// errMade is the error for a request id that belongs to a change with other values, for example another reason.
const errMade pageError = "This form's change was made already, with other values or another reason. Nothing more was changed: look at the player."

// confirmChange makes the change that was shown.
func (v *visit) confirmChange() (answer, error) {
	c, p, act, err := v.readChange()
	if c == nil {
		return answer{}, err
	}
	var do func(context.Context) error
	if err == nil {
		do, err = act.plan(v, c, p)
	}
	if err == nil && c.Shown != v.PostFormValue("shown") {
		err = errDiffers
	}
	switch {
	case err == nil && c.Reason == "":
		return c.page(), errReason
	case err == nil:
		err = do(v.ctx())
	default:
		err = v.unlessMade(err)
	}
	switch e, ok := errors.AsType[twirp.Error](err); {
	case err == nil:
		return c.made()
	case ok && e.Meta("reason") == "REQUEST_ID_REUSED":
		err = errMade
	}
	if c.Character == nil {
		return answer{}, err
	}
	a := c.page()
	a.Changes = true
	return a, err
}

// made goes to the player who has the character now.
func (c *change) made() (answer, error) {
	user := c.UserID
	if c.Action == "transfer" {
		user = c.NewUserID
	}
	return redirect("player", url.Values{"id": {user}, "done": {c.Action}})
}

// unlessMade returns nil if an earlier click on the same form has made the change, or why if not. The earlier click's answer may be lost, or
// the person has clicked twice. It reads the character again, because that click may have come between two reads.
func (v *visit) unlessMade(why error) error {
	c, _, _, err := v.readChange()
	if c == nil {
		return err
	}
	again := v.again(c)
	if again == nil || c.RequestID == "" || c.Reason == "" {
		return why
	}
	err = again(v.ctx())
	e, refused := errors.AsType[twirp.Error](err)
	if refused && !isUnsure(e) && e.Meta("reason") != "REQUEST_ID_REUSED" {
		return why
	}
	return err
}

// again returns the request of the change that was shown, if the character is no longer as it was shown. The services refuse the request
// then, unless they know its id. It returns nil if the request could change something.
func (v *visit) again(c *change) func(context.Context) error {
	slot, err := strconv.ParseInt(c.SlotIs, 10, 32)
	there := c.Character != nil && c.Character.DeletedAt == nil
	switch {
	case c.Action == "undelete" && there && c.Character.DeleteAt == nil && err == nil:
		slot := int32(slot)
		return func(ctx context.Context) error { return v.undelete(ctx, c, &slot) }
	case c.Action == "restore" && there && c.Character.DeleteAt == nil:
		return func(ctx context.Context) error { return v.undelete(ctx, c, nil) }
	case c.Action == "transfer" && c.Character == nil && err == nil:
		return func(ctx context.Context) error { return v.transfer(ctx, c, int32(slot)) }
	case c.Action == "rename" && there && c.NameWas != "" && c.Character.Name != c.NameWas:
		return func(ctx context.Context) error { return v.rename(ctx, c, c.NameWas) }
	}
	return nil
}

func (v *visit) undelete(ctx context.Context, c *change, slot *int32) error {
	_, err := v.console.staff.UndeleteCharacter(ctx, &databasev1.UndeleteCharacterRequest{
		CharacterId: c.Character.Id, NewName: c.NewName, Slot: slot, Reason: c.Reason, RequestId: c.RequestID,
	})
	return err
}

func (v *visit) rename(ctx context.Context, c *change, from string) error {
	_, err := v.console.staff.RenameCharacter(ctx, &databasev1.RenameCharacterRequest{
		CharacterId: c.Character.Id, NewName: c.NewName, ExpectedName: from, Reason: c.Reason, RequestId: c.RequestID,
	})
	return err
}

func (v *visit) transfer(ctx context.Context, c *change, slot int32) error {
	_, err := v.console.staff.TransferCharacter(ctx, &databasev1.TransferCharacterRequest{
		CharacterId: number(v.FormValue("id")), FromUserId: c.UserID, ToUserId: c.NewUserID, Slot: &slot, Reason: c.Reason, RequestId: c.RequestID,
	})
	return err
}

// isUnsure reports whether a change may have been made although it was answered with an error.
func isUnsure(err error) bool {
	e, ok := errors.AsType[twirp.Error](err)
	if !ok {
		return false
	}
	switch e.Code() {
	case twirp.Unavailable, twirp.DeadlineExceeded, twirp.Canceled, twirp.Internal, twirp.Unknown:
		return true
	}
	return false
}
