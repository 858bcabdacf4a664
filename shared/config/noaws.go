//go:build noaws

package config

// checkLinked refuses logins from AWS, which this build does not link.
func (e *env) checkLinked(a AWS) {
	const what = "needs a build without the tag noaws"
	if a.DatabaseSecretARN != "" {
		e.wrong("DATABASE_SECRET_ARN", what)
	}
	if a.DatabaseIAM {
		e.wrong("DATABASE_IAM_AUTH", what)
	}
	if a.RedisIAMCache != "" {
		e.wrong("REDIS_IAM_CACHE", what)
	}
}
