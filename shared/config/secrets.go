package config

import (
	"slices"
	"strconv"
	"strings"
)

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
	if e.get(name) == "" {
		name = "AUTH_SECRET"
	}
	secret := e.get(name)
	// A newline at the end is mostly an accident of this program's deployment. If better-auth has it too, it signs with it.
	stripped := strings.TrimRight(secret, "\r\n")
	if secret != "" && stripped == "" {
		e.wrong(name, "is empty")
	}
	secrets = append(secrets, stripped)
	if secret != stripped {
		secrets = append(secrets, secret)
	}
	return secrets
}
