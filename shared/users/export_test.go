package users

// The statements, for a test of their plans.
const (
	SelectUserSQL               = selectUserSQL
	SelectUserByLoginSQL        = selectUserByLoginSQL
	SelectUserByEmailSQL        = selectUserByEmailSQL
	SelectUserBySessionTokenSQL = selectUserBySessionTokenSQL
	SelectUserBySessionIDSQL    = selectUserBySessionIDSQL
)

// WeighBan is what decides about a ban that has an end.
var WeighBan = weighBan
