package cache_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/osirose-new/database-service/shared/cache"
)

func TestFingerprint(t *testing.T) {
	t.Parallel()
	if got, again := cache.Fingerprint("SELECT 1", (*timestamppb.Timestamp)(nil))(), cache.Fingerprint("SELECT 1", &timestamppb.Timestamp{Seconds: 1})(); got != again {
		t.Errorf("one format has the fingerprints %s and %s", got, again)
	}
	seen := map[string]string{}
	for what, f := range map[string]struct {
		sql     string
		message proto.Message
	}{
		"a format":                          {"SELECT 1", (*timestamppb.Timestamp)(nil)},
		"another statement":                 {"SELECT 2", (*timestamppb.Timestamp)(nil)},
		"another message, the same fields":  {"SELECT 1", (*durationpb.Duration)(nil)},
		"a message that has itself in it":   {"SELECT 1", (*structpb.Struct)(nil)},
		"the same, by another of its parts": {"SELECT 1", (*structpb.Value)(nil)},
	} {
		got := cache.Fingerprint(f.sql, f.message)()
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have the same fingerprint", what, other)
		}
		seen[got] = what
	}
}

func BenchmarkFingerprint(b *testing.B) {
	for b.Loop() {
		cache.Fingerprint("SELECT 1", (*structpb.Value)(nil))()
	}
}
