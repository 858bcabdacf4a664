package emulator

import "time"

// Patient returns o with time limits that no test reaches, except those that o sets.
func Patient(o Options) Options {
	o.settle, o.events = time.Hour, time.Hour
	if o.InitTimeout == 0 {
		o.InitTimeout = time.Hour
	}
	return o
}

// Check does once what Watch does regularly.
func (e *Emulator) Check(noticed func(), reloaded func(changed bool, err error)) {
	e.check(noticed, reloaded)
}
