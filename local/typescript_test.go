//go:build e2e

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestTypeScriptClient runs the TypeScript client of proto/README.md, which a third-party library generates from the
// same .proto files.
func TestTypeScriptClient(t *testing.T) {
	t.Parallel()
	generate := exec.Command("npm", "run", "--silent", "generate")
	generate.Dir = "../scripts/node"
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("npm run generate: %v\n%s", err, out)
	}
	e := testenv.New(t, "plugins", testenv.RedisKinds()[0])
	url := testenv.Serve(t, services.New(e.Program).Twirp)
	_, token := e.AddSession(t, e.AddUser(t, "Player1"), time.Hour)
	for _, test := range []struct{ args, want string }{
		{token, `"displayUsername": "Player1"`},
		{"--json " + token, `"displayUsername": "Player1"`},
		{"nonsense", "SESSION_NOT_FOUND"},
	} {
		call := exec.Command("node", append([]string{"client.mjs"}, strings.Fields(test.args)...)...)
		call.Dir, call.Env = "../scripts/node", append(os.Environ(), "DATABASE_SERVICE_URL="+url+"/twirp")
		if out, _ := call.CombinedOutput(); !strings.Contains(string(out), test.want) {
			t.Errorf("node client.mjs %s printed %s, want %s in it", strings.TrimSuffix(test.args, token), out, test.want)
		}
	}
}
