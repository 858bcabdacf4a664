package console

import (
	"context"
	"strconv"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

func (v *visit) planUndelete(c *change, p *databasev1.GetPlayerResponse) (func(context.Context) error, error) {
	switch {
	case c.Character.DeletedAt == nil:
		return nil, errThere
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
		difference{"State", stateOf(c.Character), "there"},
		difference{"Name", c.Character.Name, name},
		difference{"Slot", "none", strconv.Itoa(int(slot))},
	)
	c.SlotIs = strconv.Itoa(int(slot))
	return func(ctx context.Context) error { return v.undelete(ctx, c, slot) }, nil
}

func (v *visit) planRestore(c *change, _ *databasev1.GetPlayerResponse) (func(context.Context) error, error) {
	if c.Character.DeletedAt != nil || c.Character.DeleteAt == nil {
		return nil, errNoMark
	}
	c.differ(difference{"State", stateOf(c.Character), "there"})
	return func(ctx context.Context) error { return v.restore(ctx, c) }, nil
}

func (v *visit) planRename(c *change, _ *databasev1.GetPlayerResponse) (func(context.Context) error, error) {
	if c.NewName == "" {
		return nil, errNewName
	}
	c.differ(difference{"Name", c.Character.Name, c.NewName})
	c.NameWas = c.Character.Name
	return func(ctx context.Context) error { return v.rename(ctx, c, c.Character.Name) }, nil
}

func (v *visit) planTransfer(c *change, _ *databasev1.GetPlayerResponse) (func(context.Context) error, error) {
	if c.NewUserID == "" {
		return nil, errTo
	}
	to, err := v.console.staff.GetPlayer(v.ctx(), &databasev1.GetPlayerRequest{UserId: c.NewUserID})
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
