package characters

import (
	"fmt"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// checkTarget checks the ids that name a character.
func checkTarget(id int64, userID string, userRequired bool) error {
	if userRequired || userID != "" {
		if err := rpcserver.CheckText("user_id", userID, maxUserID); err != nil {
			return err
		}
	}
	if id < 1 {
		return rpcserver.InvalidArgument("character_id", "is required and positive")
	}
	return nil
}

func checkView(v databasev1.CharacterView) error {
	if _, known := databasev1.CharacterView_name[int32(v)]; !known {
		return rpcserver.InvalidArgument("view", "is unknown")
	}
	return nil
}

// checkScalars checks the values that are not nil.
func checkScalars(level, job *int32, money *int64, minLevel int32) error {
	switch {
	case level != nil && *level < minLevel:
		return rpcserver.InvalidArgument("level", fmt.Sprintf("is less than %d", minLevel))
	case job != nil && *job < 0:
		return rpcserver.InvalidArgument("job", "is negative")
	case money != nil && *money < 0:
		return rpcserver.InvalidArgument("money", "is negative")
	}
	return nil
}
