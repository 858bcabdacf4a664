package emulator

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"time"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// watchInterval is how often Watch checks the sources.
const watchInterval = 500 * time.Millisecond

// Reload reads the template again and builds the functions if Options.Build is set. Later invocations use the new
// functions; running ones finish on the old ones. After an error nothing changes.
func (e *Emulator) Reload() error {
	_, err := e.reload()
	return err
}

// reload reports whether any function or route has changed. A new comment in a source, for example, changes neither.
func (e *Emulator) reload() (changed bool, err error) {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	t, err := e.readTemplate()
	if err != nil {
		return false, err
	}
	programs := e.givenPrograms(t)
	if e.builder != nil {
		if programs, err = e.builder.Build(t.Functions); err != nil {
			return false, err
		}
	}
	before := e.state.Load()
	if t.Same(before.template) && maps.Equal(programs, before.programs) {
		same := *before
		same.template = t // its parameters may differ
		e.state.Store(&same)
		return false, nil
	}
	return true, e.replace(t, programs)
}

// readTemplate also takes the fingerprint of the sources before they are built, so that Watch notices every later change.
func (e *Emulator) readTemplate() (*template.Template, error) {
	t, err := template.Read(e.options.Template, template.Region(e.options.Environ), e.options.Parameters)
	if err == nil && (e.options.Build || e.options.Binaries == "") {
		err = t.CheckSources(e.options.Template)
	}
	if err == nil && e.builder != nil {
		e.builder.FindEmbeds(t.Functions)
	}
	e.seen = e.fingerprint()
	return t, err
}

// Watch reloads after each change of a source or of the template, until ctx ends. It calls noticed before it reloads, and
// reloaded afterwards, with whether any function or route has changed, or with the error. It reports an error once: the next
// reload follows the next change.
func (e *Emulator) Watch(ctx context.Context, noticed func(), reloaded func(changed bool, err error)) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.check(noticed, reloaded)
		}
	}
}

// check reloads if a source or the template has changed since they were last read.
func (e *Emulator) check(noticed func(), reloaded func(changed bool, err error)) {
	e.reloading.Lock()
	same := e.fingerprint() == e.seen
	e.reloading.Unlock()
	if !same {
		noticed()
		reloaded(e.reload())
	}
}

// fingerprint changes when a source does: a Go file, go.mod, an embedded file or the template.
func (e *Emulator) fingerprint() [32]byte {
	h := sha256.New()
	add := func(path string, info fs.FileInfo) {
		fmt.Fprintln(h, path, info.Size(), info.ModTime().UnixNano())
	}
	if info, err := os.Stat(e.options.Template); err == nil {
		add(e.options.Template, info)
	}
	if e.builder != nil {
		e.builder.Sources(add)
	}
	return [32]byte(h.Sum(nil))
}
