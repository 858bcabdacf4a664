package main

import (
	"errors"
	"log/slog"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/callers/oidctoken"
)

// prepareCallers completes the options of the gate with what functions do not have.
func prepareCallers(c *app.Options) error {
	of := c.Callers
	if of.Required && of.File == "" {
		return errors.New("REQUIRE_IDENTITY is true, but CALLERS_FILE is not set, which names the callers and what they may do")
	}
	// A mistake is found before the embedded servers start.
	if _, err := callers.New(callers.Options{File: of.File, ClientCAFile: of.ClientCAFile}); err != nil {
		return err
	}
	if of.Issuer != "" {
		c.Tokens = oidctoken.New(of.Issuer, of.Audience)
	}
	return nil
}

// remindEvery is the pause between two warnings that any caller has all rights.
const remindEvery = time.Minute

// remind warns now, and at each tick until done, that any caller has all rights.
func remind(log *slog.Logger, tick <-chan time.Time, done <-chan struct{}) {
	for {
		log.Warn("any caller that reaches the port may read every user and change every character: set CALLERS_FILE, or keep the port in a private network")
		select {
		case <-tick:
		case <-done:
			return
		}
	}
}
