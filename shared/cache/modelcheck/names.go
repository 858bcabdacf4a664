package main

import "fmt"

// bug is a mutant of the protocol.
type bug int

const (
	noBug bug = iota
	bugClockAfterSnapshot
	bugNoCompare
	bugFillWithoutLease
	bugFillWithoutEpoch
	bugKeepLease
	bugKeepEpoch
	bugMaxXid
	bugNoTimeline
	bugAnswerBeforeDelete
	bugNoBypass
	bugJoinStarted
	bugValueFirst
	bugNoAge
	bugOldLookup
	bugSharedNames
	bugMemoryNoAge
	bugMemoryClockFirst
	bugMemoryValueFirst
	bugMemoryBeginsLate
	bugMemoryPublishFirst
	bugMemoryNoTicket
	bugMemoryOldTicket
	bugMemoryNamesIgnored
	bugMemoryNamesForgotten
	bugMemoryYoungPosition
	bugMemoryKeptAfterError
	bugMemoryOtherDatabase
	bugMemoryFillOfOther
	bugEnd
)

var bugs = [bugEnd]string{
	noBug:                 "none",
	bugClockAfterSnapshot: "clock-after-snapshot",
	bugNoCompare:          "apply-without-compare",
	bugFillWithoutLease:   "fill-without-lease",
	bugFillWithoutEpoch:   "fill-without-epoch",
	bugKeepLease:          "delete-keeps-lease",
	bugKeepEpoch:          "no-new-epoch",
	bugMaxXid:             "highest-id-for-snapshot",
	bugNoTimeline:         "timeline-ignored",
	bugAnswerBeforeDelete: "answer-before-delete",
	bugNoBypass:           "no-bypass-after-failed-delete",
	bugJoinStarted:        "join-a-started-load",
	bugValueFirst:         "value-before-watermark",
	bugNoAge:              "age-not-checked",
	bugOldLookup:          "old-lookup-after-a-sync",
	bugSharedNames:        "names-without-the-database",

	bugMemoryNoAge:          "memory-age-not-checked",
	bugMemoryClockFirst:     "memory-clock-before-value",
	bugMemoryValueFirst:     "memory-value-before-position",
	bugMemoryBeginsLate:     "memory-clock-after-snapshot",
	bugMemoryPublishFirst:   "memory-position-before-deletion",
	bugMemoryNoTicket:       "memory-fill-after-a-change",
	bugMemoryOldTicket:      "memory-fill-of-an-earlier-era",
	bugMemoryNamesIgnored:   "memory-redis-fill-of-a-named-key",
	bugMemoryNamesForgotten: "memory-redis-fill-of-a-forgotten-name",
	bugMemoryYoungPosition:  "memory-redis-fill-before-the-position",
	bugMemoryKeptAfterError: "memory-kept-after-an-error",
	bugMemoryOtherDatabase:  "memory-timeline-ignored",
	bugMemoryFillOfOther:    "memory-redis-fill-of-another-timeline",
}

func (b bug) String() string { return bugs[b] }

// world returns the world that a bug shows in.
func (b bug) world() world {
	switch b {
	case bugClockAfterSnapshot, bugValueFirst, bugNoAge, bugOldLookup:
		return worlds[0]
	case bugFillWithoutEpoch, bugJoinStarted:
		return worlds[2]
	case bugNoCompare:
		return worlds[3]
	case bugNoTimeline, bugMaxXid:
		return worlds[5]
	case bugSharedNames:
		return worlds[9]
	case bugMemoryOtherDatabase, bugMemoryFillOfOther:
		return worlds[8]
	}
	if b >= bugMemoryNoAge && b < bugEnd {
		return worlds[6]
	}
	return worlds[1]
}

func bugNames() []string { return bugs[noBug+1:] }

// step is what was done, and who did it.
type step uint8

const (
	stepStart step = iota
	stepTick
	stepBegin
	stepLookupMark
	stepLookupValue
	stepLookupTime
	stepSyncBegin
	stepSyncLost
	stepSyncSnapshot
	stepSyncApply
	stepLease
	stepLoad
	stepJoin
	stepFill
	stepPosition
	stepKept
	stepKeptClock
	stepTicket
	stepAskDatabase
	stepAskRedis
	stepKeep
	stepWriteBegin
	stepCommit
	stepDelete
	stepDeleteFails
	stepAnswer
	stepEvictEntity
	stepEvictMark
	stepFlush
	stepReplicate
	stepFailover
	stepHeal
	stepPromote
	stepForeignDelete
	stepForeignFill
	stepMemoryBegin
	stepMemorySnapshot
	stepMemoryDelete
	stepMemoryApply
	stepMemoryFails
	stepEnd
)

var steps = [stepEnd]string{
	stepStart: "start", stepTick: "the clock ticks",
	stepBegin: "begins to read", stepLookupMark: "HMGET wm", stepLookupValue: "HGET the value", stepLookupTime: "TIME",
	stepSyncBegin: "sync: begin", stepSyncLost: "sync: another one syncs", stepSyncSnapshot: "sync: the snapshot",
	stepSyncApply: "sync: apply", stepLease: "lease", stepLoad: "loads", stepJoin: "joins the other's load", stepFill: "fill",
	stepWriteBegin: "begins, gets its id", stepCommit: "commits", stepDelete: "DEL", stepDeleteFails: "DEL fails",
	stepAnswer: "answers its caller", stepEvictEntity: "Redis evicts the entity", stepEvictMark: "Redis evicts wm",
	stepFlush: "Redis is flushed", stepReplicate: "the replica catches up", stepFailover: "Redis fails over",
	stepHeal: "the old Redis is gone", stepPromote: "PostgreSQL fails over and loses the last commit",
	stepForeignDelete: "another database deletes the entity", stepForeignFill: "another database fills",
	stepPosition: "reads the position", stepKept: "looks into the process", stepKeptClock: "reads the clock", stepTicket: "takes a ticket", stepAskDatabase: "loads", stepAskRedis: "reads from Redis",
	stepKeep: "the process keeps it", stepMemoryBegin: "the process's sync: begin", stepMemorySnapshot: "the process's sync: the snapshot",
	stepMemoryDelete: "the process's sync: delete", stepMemoryApply: "the process's sync: apply", stepMemoryFails: "the process's sync fails",
}

const actorShift = 6

// of adds the actor: a reader or a writer, from 0 to 2.
func (s step) of(actor int) step { return s | step(actor+1)<<actorShift }

func (s step) String() string {
	what, actor := s&(1<<actorShift-1), int(s>>actorShift)-1
	switch {
	case actor < 0:
		return steps[what]
	case what < stepWriteBegin:
		return fmt.Sprintf("reader %d: %s", actor+1, steps[what])
	case actor == ownWriter:
		return "own writer: " + steps[what]
	}
	return fmt.Sprintf("web application %d: %s", actor, steps[what])
}
