package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// functions are what templates call.
var functions = template.FuncMap{
	"paragraphs": func(text string) []string { return strings.Split(text, "\n\n") },
	"time":       formatTime,
	"age":        func(t *timestamppb.Timestamp) string { return duration(time.Since(t.AsTime())) },
	"seconds":    func(n int64) string { return duration(time.Duration(n) * time.Second) },
	"state":      stateOf,
	"foundBy":    foundBy,
	"why":        func(r databasev1.Recovery) string { return recoveries[r] },
	"comesBack":  comesBack,
	"isDeleted":  func(s databasev1.CharacterState) bool { return s == databasev1.CharacterState_CHARACTER_STATE_DELETED },
	"isMarked": func(s databasev1.CharacterState) bool {
		return s == databasev1.CharacterState_CHARACTER_STATE_PENDING_DELETION
	},
	"values":    values,
	"rows":      rows,
	"codes":     func() []twirp.ErrorCode { return codes },
	"protocols": func() []string { return []string{"protobuf", "json", "grpc"} },
	"moment":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") },
	"clock":     func(t time.Time) string { return t.UTC().Format("15:04:05.000 UTC") },
	"ms":        func(d time.Duration) string { return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64) },
	"grouped":   grouped,
	"fields":    func() map[string]string { return searchFields },
}

// codes are those that the services answer.
var codes = []twirp.ErrorCode{
	"ok", twirp.InvalidArgument, twirp.Malformed, twirp.NotFound, twirp.AlreadyExists, twirp.FailedPrecondition, twirp.Aborted, twirp.PermissionDenied,
	twirp.Unauthenticated, twirp.ResourceExhausted, twirp.Unavailable, twirp.DeadlineExceeded, twirp.Canceled, twirp.Internal, twirp.BadRoute,
}

// searchFields are those that a search can be limited to.
var searchFields = map[string]string{
	"USER_ID": "user ids", "USERNAME": "usernames", "EMAIL": "e-mail addresses", "CHARACTER_NAME": "characters", "SESSION_ID": "session ids",
}

// formatTime writes a time of the database, "" if it is not known.
func formatTime(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format("2006-01-02 15:04 UTC")
}

// duration writes a duration in its largest unit.
func duration(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if d >= unit.of {
			return strconv.FormatInt(int64(d/unit.of), 10) + " " + unit.name
		}
	}
	return strconv.FormatInt(int64(max(0, d)/time.Second), 10) + " s"
}

// grouped writes a number with spaces between groups of three digits.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return sign + s
}

// indent formats JSON. It returns any other text as it is.
func indent(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

// rows returns the height of an input for a text.
func rows(text string) string { return strconv.Itoa(min(20, 3+strings.Count(text, "\n"))) }

// number reads an id. Any other text is 0, which the services refuse.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

const active = "active"

// stateOf says whether a character is there. A nil one is.
func stateOf(c *databasev1.PlayerCharacter) string {
	switch {
	case c == nil:
		return active
	case c.DeletedAt != nil:
		return "deleted " + formatTime(c.DeletedAt)
	case c.DeleteAt != nil:
		return "will be deleted " + formatTime(c.DeleteAt)
	}
	return active
}

// foundBy names the field by which a player was found.
func foundBy(f databasev1.PlayerField) string { return foundFields[f] }

var foundFields = map[databasev1.PlayerField]string{
	databasev1.PlayerField_PLAYER_FIELD_USER_ID: "user id", databasev1.PlayerField_PLAYER_FIELD_USERNAME: "username",
	databasev1.PlayerField_PLAYER_FIELD_EMAIL: "e-mail address", databasev1.PlayerField_PLAYER_FIELD_CHARACTER_NAME: "character",
	databasev1.PlayerField_PLAYER_FIELD_SESSION_ID: "session id",
}

var recoveries = map[databasev1.Recovery]string{
	databasev1.Recovery_RECOVERY_NAME_TAKEN:   "Another character has its name: it needs a new one.",
	databasev1.Recovery_RECOVERY_NO_FREE_SLOT: "It cannot come back: the player has no free slot.",
	databasev1.Recovery_RECOVERY_USER_REMOVED: "It cannot come back: its user was removed.",
}

// comesBack returns the action that brings a character back, "" if there is none.
func comesBack(r databasev1.Recovery) string {
	switch r {
	case databasev1.Recovery_RECOVERY_RESTORE:
		return "restore"
	case databasev1.Recovery_RECOVERY_UNDELETE, databasev1.Recovery_RECOVERY_NAME_TAKEN:
		return "undelete"
	case databasev1.Recovery_RECOVERY_UNSPECIFIED, databasev1.Recovery_RECOVERY_NO_FREE_SLOT, databasev1.Recovery_RECOVERY_USER_REMOVED:
	}
	return ""
}

// valueOf writes a value of JSON. A number has all of its digits.
func valueOf(v any) string {
	if n, ok := v.(float64); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// values writes the values of an audit's row: "name Amber, slot 1".
func values(s *structpb.Struct) string {
	all := s.AsMap()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, strings.ReplaceAll(name, "_", " ")+" "+valueOf(all[name]))
	}
	return strings.Join(parts, ", ")
}
