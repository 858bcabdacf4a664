package staff

// The statements whose plans are tested.
const (
	FindUserByIDSQL             = findUserByIDSQL
	FindUserByUsernameSQL       = findUserByUsernameSQL
	FindUserByUsernamePrefixSQL = findUserByUsernamePrefixSQL
	FindUserByEmailSQL          = findUserByEmailSQL
	FindUserByEmailPrefixSQL    = findUserByEmailPrefixSQL
	FindCharacterSQL            = findCharacterSQL
	SelectCharactersSQL         = selectCharactersSQL
	SelectAuditSQL              = selectAuditSQL
	SelectAuditOfUserSQL        = selectAuditOfUserSQL
	SelectAuditOfCharacterSQL   = selectAuditOfCharacterSQL
	SelectAuditOfWhoSQL         = selectAuditOfWhoSQL
	SelectNotesSQL              = selectNotesSQL
)
