package console

import (
	"context"
	"errors"
	"strconv"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
)

func (v *visit) planUndelete(c *change, p *databasev1.GetPlayerResponse) (func(context.Context) error, error) {
	switch {
	case c.Character.DeletedAt == nil:
		return nil, errThere
	case c.Character.Recovery == databasev1.Recovery_RECOVERY_NO_FREE_SLOT, c.Character.Recovery == databasev1.Recovery_RECOVERY_USER_REMOVED:
		return nil, pageError(recoveries[c.Character.Recovery])
	case c.Character.Recovery == databasev1.Recovery_RECOVERY_NAME_TAKEN && c.NewName == "":
		return nil, errNewName
	}
	slot, err := c.slot(p, c.Character.Slot)
	if err != nil {
		return nil, err
	}
	name := c.NewName
	if name == "" {
		name = c.Character.Name
	}
	c.differ(
		difference{"State", stateOf(c.Character), stateOf(nil)},
		difference{"Name", c.Character.Name, name},
		difference{"Slot", strconv.Itoa(int(c.Character.Slot)), strconv.Itoa(int(slot))},
	)
	c.SlotIs = strconv.Itoa(int(slot))
	return func(ctx context.Context) error { return v.undelete(ctx, c, &slot) }, nil
}

func (v *visit) planRestore(c *change, _ *databasev1.GetPlayerResponse) (func(context.Context) error, error) {
	switch {
	case c.Character.DeletedAt != nil:
		return nil, errGone
	case c.Character.DeleteAt == nil:
		return nil, errNoMark
	}
	c.differ(difference{"State", stateOf(c.Character), stateOf(nil)})
	return func(ctx context.Context) error { return v.undelete(ctx, c, nil) }, nil
}

func (v *visit) planRename(c *change, _ *databasev1.GetPlayerResponse) (func(context.Context) error, error) {
	switch c.NewName {
	case "":
		return nil, errNewName
	case c.Character.Name:
		return nil, errSameName
	}
	c.differ(difference{"Name", c.Character.Name, c.NewName})
	c.NameWas = c.Character.Name
	return func(ctx context.Context) error { return v.rename(ctx, c, c.Character.Name) }, nil
}

func (v *visit) planTransfer(c *change, _ *databasev1.GetPlayerResponse) (func(context.Context) error, error) {
	if c.NewUserID == "" {
		return nil, errTo
	}
	to, err := v.newOwner(c.NewUserID)
	if err != nil {
		return nil, err
	}
	if to.User != nil {
		c.NewUserID = to.User.Id
	}
	if c.NewUserID == c.UserID {
		return nil, errOwner
	}
	slot, err := c.slot(to, -1)
	if err != nil {
		return nil, err
	}
	c.differ(
		difference{"Owner", c.Player + " (" + c.UserID + ")", userName(to.User, c.NewUserID) + " (" + c.NewUserID + ")"},
		difference{"Slot", strconv.Itoa(int(c.Character.Slot)), strconv.Itoa(int(slot)) + " of the new owner"},
	)
	c.SlotIs = strconv.Itoa(int(slot))
	return func(ctx context.Context) error { return v.transfer(ctx, c, slot) }, nil
}

// newOwner finds a user by id or by username.
func (v *visit) newOwner(typed string) (*databasev1.GetPlayerResponse, error) {
	got, err := v.console.staff.GetPlayer(v.ctx(), &databasev1.GetPlayerRequest{UserId: typed})
	if e, ok := errors.AsType[twirp.Error](err); !ok || e.Code() != twirp.NotFound || !v.rights.Has(callers.FindPlayers) {
		return got, err
	}
	found, findErr := v.console.staff.FindPlayers(v.ctx(), &databasev1.FindPlayersRequest{
		Query: typed, By: databasev1.PlayerField_PLAYER_FIELD_USERNAME, Match: databasev1.PlayerMatch_PLAYER_MATCH_EXACT,
	})
	switch {
	case findErr != nil:
		return nil, findErr
	case len(found.Players) != 1: // without usernames, several users can have the name
		return nil, err
	}
	return v.console.staff.GetPlayer(v.ctx(), &databasev1.GetPlayerRequest{UserId: found.Players[0].UserId})
}
