package migrations_test

import (
	"errors"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestNamedSchema(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, `CREATE SCHEMA other; CREATE TABLE other."user" (LIKE public."user"); CREATE TABLE other.session (LIKE public.session)`)
	apply(t, d, migrations.Options{AuthSchema: "public"})
	if err := check(t, d); err != nil {
		t.Errorf("Check = %v", err)
	}
}

// TestTablesOfOneSchema follows the hint for tables "user" and "users" in one schema.
func TestTablesOfOneSchema(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, `CREATE TABLE users (LIKE "user")`)
	if _, err := migrations.Apply(t.Context(), connect(t, d), utc); !errors.Is(err, migrations.ErrSchema) {
		t.Errorf("Apply = %v, want ErrSchema", err)
	}
	apply(t, d, migrations.Options{Names: migrations.Names{UserTable: "user"}})
	if err := check(t, d); err != nil {
		t.Errorf("Check = %v", err)
	}
}
