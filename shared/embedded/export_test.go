package embedded

import (
	"context"
	"syscall"
)

// FindServer looks for PostgreSQL as StartPostgres does, with another
// environment and other folders.
func FindServer(ctx context.Context, env map[string]string, folders ...string) (string, error) {
	return locator{getenv: func(name string) string { return env[name] }, folders: folders}.find(ctx)
}

// Abandon frees the lock and leaves the server running. A killed process leaves
// the same state if the kernel does not end its children.
func (p *Postgres) Abandon() error {
	return syscall.Flock(int(p.dir.lock.Fd()), syscall.LOCK_UN)
}

// Running reports whether a process has a command line. Zombies have none.
func Running(pid int) bool { return commandLine(pid) != "" }

// CanEnter says why a server that runs as another user cannot use path.
func CanEnter(path string) error {
	return account{name: "postgres", credential: &syscall.Credential{Uid: 1 << 30, Gid: 1 << 30}}.canEnter(path)
}

// MakePrivate refuses a folder for programs that other users can write to.
var MakePrivate = makePrivate
