package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const fetchedVersion = embeddedpostgres.V18

// fetch downloads PostgreSQL once for all processes of this user, and returns the folder of its programs.
func fetch(ctx context.Context) (string, error) {
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	type result struct {
		bin string
		err error
	}
	fetched := make(chan result, 1)
	go func() { // the library's download takes no context
		bin, err := fetchInto(cache)
		fetched <- result{bin, err}
	}()
	select {
	case r := <-fetched:
		return r.bin, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// fetchInto waits for another process that is already downloading. The download
// gets its final name only when it is complete.
func fetchInto(cache string) (string, error) {
	lock, err := os.OpenFile(filepath.Join(cache, keptLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() //nolint:errcheck // the lock goes with the process at the latest
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	home := filepath.Join(cache, string(fetchedVersion))
	if bin, ok := serverFolder(filepath.Join(home, "bin")); ok {
		return bin, nil
	}
	scratch := filepath.Join(cache, "unfinished")
	if err := os.RemoveAll(scratch); err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // a leftover in the temporary folder does no harm
	unpacked, err := download(scratch)
	if err != nil {
		return "", err
	}
	if err := os.Rename(unpacked, home); err != nil {
		return "", err
	}
	bin, ok := serverFolder(filepath.Join(home, "bin"))
	if !ok {
		return "", fmt.Errorf("postgres and initdb are not in %s", home)
	}
	return bin, nil
}

// download uses the library to find, check and unpack the archive for this system. The library does that only in Start,
// which also runs the server as this process's user, and that fails for root. So download passes an encoding that initdb
// refuses before it writes anything, and expects Start to fail. Start makes the runtime folder right after unpacking. If the
// folder is missing, Start failed earlier.
func download(scratch string) (unpacked string, err error) {
	unpacked = filepath.Join(scratch, "postgres")
	runtime := filepath.Join(scratch, "runtime")
	database := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(fetchedVersion).
		CachePath(filepath.Join(scratch, "archive")).
		BinariesPath(unpacked).
		RuntimePath(runtime).
		DataPath(filepath.Join(scratch, "data")).
		Encoding("none").
		Port(0). // the library needs a free port, but never uses it
		Logger(nil))
	err = database.Start()
	if err == nil {
		return "", errors.Join(errors.New("the library started a server, although initdb should have failed"), database.Stop())
	}
	if _, missing := os.Stat(runtime); missing != nil {
		return "", err
	}
	return unpacked, nil
}

// cacheFolder returns the first folder that only this user can write to, because the programs in it are run. For root it is
// a folder that the server's user can read, which root's home is not.
func cacheFolder() (string, error) {
	const name = "osirose-fetched-postgres"
	var folders []string
	if os.Geteuid() == 0 {
		folders = append(folders, filepath.Join("/var/cache", name))
	} else if user, err := os.UserCacheDir(); err == nil {
		folders = append(folders, filepath.Join(user, name))
	}
	folders = append(folders, filepath.Join(realTempDir(), fmt.Sprintf("%s-%d", name, os.Geteuid())))
	var errs []error
	for _, folder := range folders {
		err := makePrivate(folder)
		if err == nil {
			return folder, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

func makePrivate(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // the server's user runs what is in it
		return err
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || int(owner.Uid) != os.Geteuid() || info.Mode()&0o022 != 0 {
		return fmt.Errorf("other users can write to %s, and this program would run what is in it: chmod go-w that folder", folder)
	}
	return nil
}
