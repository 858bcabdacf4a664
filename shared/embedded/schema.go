package embedded

import "embed"

// Schemas are better-auth's tables as its own migration makes them: schema/plugins.sql with the plugins username, admin
// and bearer, and the other ways that a web application can have them. scripts/node/dump-schemas writes them.
//
//go:embed schema/*.sql
var Schemas embed.FS
