package embedded

import "embed"

// Schemas contains better-auth's tables as its migration creates them. schema/plugins.sql is for the plugins username,
// admin
// and bearer; the other files are for other configurations of a web application. scripts/node/dump-schemas writes them.
//
//go:embed schema/*.sql
var Schemas embed.FS
