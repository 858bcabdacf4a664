package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
)

// checkDatabase uses what requests need, as the service's role: the view, the functions and the change log.
func checkDatabase(ctx context.Context, db *postgres.DB, c *migrations.Checker) readiness {
	var status migrations.Status
	err := db.Read(ctx, func(ctx context.Context, q postgres.Querier) (err error) {
		status, err = c.Check(ctx, q)
		return err
	})
	if err == nil {
		_, err = db.Changes(ctx, "")
	}
	r := judge(err)
	r.Warning, r.userTrigger, r.version = status.Warning, status.UserTrigger, status.Version
	return r
}

// judge describes the error of a check.
func judge(err error) readiness {
	_, refused := errors.AsType[*pgconn.PgError](err)
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case err == nil:
		return readiness{Ready: true, Database: "ok", Schema: "ok"}
	case errors.Is(err, postgres.ErrOverloaded): // a busy instance stays in service
		return readiness{Ready: true, Database: "busy", Schema: "unknown"}
	case errors.Is(err, migrations.ErrSchema) || errors.Is(err, migrations.ErrRights):
		return readiness{Database: "ok", Schema: err.Error()} // this program's text
	case refused && connecting, errors.Is(err, postgres.ErrStandby):
		return readiness{Database: "down: " + errtext.ForLog(err), Schema: "unknown"}
	case errors.Is(err, postgres.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded):
		return readiness{Database: "down", Schema: "unknown", cause: err}
	case refused:
		return readiness{Database: "ok", Schema: errtext.ForLog(err)}
	}
	return readiness{Database: "down", Schema: "unknown", cause: err}
}

// logDatabase writes one line when the state of the database changes. before is empty at the first check.
func (r readiness) logDatabase(log *slog.Logger, before readiness) {
	if r.Database == before.Database && r.Schema == before.Schema && r.Warning == before.Warning {
		return
	}
	switch {
	case r.Schema == "unknown" && r.Database != "busy":
		cause := r.Database
		if r.cause != nil {
			cause = errtext.ForLog(r.cause)
		}
		log.Warn("not ready: the database does not answer", "cause", cause)
	case r.Schema != "ok" && r.Schema != "unknown":
		log.Warn("not ready: the database does not fit", "schema", r.Schema)
	case r.Warning != "":
		log.Warn("the database needs its operator soon", "warning", r.Warning)
	case before.Database != "" && (before.Schema != "ok" || before.Warning != "") && r.Schema == "ok":
		log.Info("the database fits again")
	}
}
