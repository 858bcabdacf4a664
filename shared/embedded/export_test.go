package embedded

import (
	"context"
	"syscall"
)

// FindServer looks for PostgreSQL as StartPostgres does, in another world.
func FindServer(ctx context.Context, env map[string]string, folders ...string) (string, error) {
	return locator{getenv: func(name string) string { return env[name] }, folders: folders}.find(ctx)
}

// Abandon gives up the lock and leaves the server running, which is what a
// process that was killed leaves where the kernel does not end its children.
func (p *Postgres) Abandon() error {
	return syscall.Flock(int(p.dir.lock.Fd()), syscall.LOCK_UN)
}

// Running says whether a process has a command line: zombies have none.
func Running(pid int) bool { return commandLine(pid) != "" }
