package limiter_test

import (
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/limiter"
)

func BenchmarkEnter(b *testing.B) {
	l := limiter.New(limiter.Options{Slots: 512, Least: 32, Reserved: 8, MaxWaiting: 1000})
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		s, _ := l.Enter(b.Context(), now, limiter.Want{Principal: "10.0.0.1", Kind: limiter.Ordinary})
		l.Leave(s)
	}
}
