package console

import (
	"context"
	"net/http"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/local/calls"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// rpcs are clients of the services. A page gets no more than its caller may: each call has the caller's credentials, and the
// services check, limit, log and audit it.
type rpcs struct {
	staff      databasev1.StaffService
	characters databasev1.CharacterDbService
}

func newRPCs(services http.Handler) rpcs {
	client := &http.Client{Transport: calls.Transport{Handler: services}}
	return rpcs{
		databasev1.NewStaffServiceProtobufClient("http://console", client), databasev1.NewCharacterDbServiceProtobufClient("http://console", client),
	}
}

// ctx returns the context of the page's calls.
func (v *visit) ctx() context.Context {
	h := v.proof.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set("User-Agent", calls.Agent)
	ctx, err := twirp.WithHTTPRequestHeaders(v.Context(), h)
	if err != nil { // only for headers that Twirp sets
		return v.Context()
	}
	return ctx
}
