package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Secret returns the variable NAME or, if it is not set, the content of the file that NAME_FILE names: the convention of secrets
// that a container gets as files.
func Secret(getenv func(string) string, name string) (string, error) {
	value, file := getenv(name), strings.TrimSpace(getenv(name+"_FILE"))
	if file == "" {
		return value, nil
	}
	if strings.TrimSpace(value) != "" {
		return "", fmt.Errorf("%s and %s_FILE are both set; unset one of them", name, name)
	}
	content, err := os.ReadFile(file)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // without the path
	}
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimPrefix(string(content), "\ufeff"), nil // some editors of Windows begin a file with this mark
}

// authSecrets returns the secrets with which better-auth signs, by its own rules: BETTER_AUTH_SECRETS is a list such as
// "2:new,1:old", and AUTH_SECRET replaces an unset BETTER_AUTH_SECRET. better-auth verifies only with the first secret of
// the list. All of them count here, because its processes change their secrets one after the other.
func (e *env) authSecrets() (secrets []string) {
	if list := e.get("BETTER_AUTH_SECRETS"); list != "" {
		var versions []int
		for entry := range strings.SplitSeq(list, ",") {
			number, secret, _ := strings.Cut(strings.TrimSpace(entry), ":")
			version, err := strconv.Atoi(number)
			secret = strings.TrimSpace(secret)
			if err != nil || version < 0 || secret == "" || slices.Contains(versions, version) {
				e.wrong("BETTER_AUTH_SECRETS", `is not a list of versions and secrets such as "2:new,1:old", each version once`)
				break
			}
			versions, secrets = append(versions, version), append(secrets, secret)
		}
	}
	name := "BETTER_AUTH_SECRET"
	secret := e.secret(name)
	if secret == "" {
		name = "AUTH_SECRET"
		secret = e.get(name)
	}
	// A newline at the end is mostly an accident of this program's deployment. If better-auth has it too, it signs with it.
	stripped := strings.TrimRight(secret, "\r\n")
	if secret != "" && strings.TrimSpace(stripped) == "" { // with a blank secret everyone could sign
		e.wrong(name, "is empty")
	}
	secrets = append(secrets, stripped)
	if secret != stripped {
		secrets = append(secrets, secret)
	}
	return secrets
}
