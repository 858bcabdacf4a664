//go:build !noaws

package config

// checkLinked has nothing to refuse: this build links AWS.
func (*env) checkLinked(AWS) {}
