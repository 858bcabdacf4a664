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

// fetch downloads PostgreSQL, once for all processes of this user, and returns
// the folder of its programs.
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
	go func() { // the library's download knows no context
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

// fetchInto leaves the download to another process that is at it already, and
// gives it its name only when it is whole.
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

// download uses the library for what it does well, finding the archive for
// this system, checking and unpacking it. Its only way there is Start, which
// would also run the server as our user, and that fails for root. So Start is
// given an encoding that initdb refuses before it writes anything, and its
// failure is expected. It makes the runtime folder right after unpacking:
// where that is missing the failure was an earlier one.
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
		Port(0). // the library wants a free one, and does not get to use it
		Logger(nil))
	err = database.Start()
	if err == nil {
		return "", errors.Join(errors.New("a server ran that should not"), database.Stop())
	}
	if _, missing := os.Stat(runtime); missing != nil {
		return "", err
	}
	return unpacked, nil
}

// cacheFolder is the first folder that we can write to, and that nobody else
// can: what is in it is run. For root it is one that the server's user can
// read, which root's home is not.
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
		return fmt.Errorf("%s can be written to by others", folder)
	}
	return nil
}
