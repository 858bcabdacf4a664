package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
)

// staffPages adds the pages for support staff.
func (c *Console) staffPages(mux *http.ServeMux) {
	for path, of := range map[string]struct {
		need callers.Rights
		page func(*visit) (answer, error)
	}{
		"GET /players":         {callers.FindPlayers, (*visit).players},
		"GET /player":          {callers.GetPlayer, (*visit).player},
		"POST /player":         {callers.GetPlayer, (*visit).player}, // with a reason, for the personal fields
		"POST /player/note":    {callers.AddNote, (*visit).addNote},
		"GET /character":       {callers.GetCharacter | callers.GetCharacterAnyOwner | callers.GetCharacterFull, (*visit).character},
		"GET /change":          {callers.GetPlayer, (*visit).askChange},
		"POST /change/show":    {callers.GetPlayer, (*visit).showChange},
		"POST /change/confirm": {callers.GetPlayer, (*visit).confirmChange},
		"GET /audit":           {callers.ListAudit, (*visit).audit},
	} {
		method, path, _ := strings.Cut(path, " ")
		mux.Handle(method+" "+Path+path, c.page(of.need, of.page))
	}
}

// searchPage is the content of the page that finds players.
type searchPage struct {
	visitor
	Query string
	// CanEmail says that the caller may search by e-mail address.
	CanEmail bool
	By       databasev1.PlayerField
	Found    *databasev1.FindPlayersResponse // nil: there was no query
}

func (v *visit) players() (answer, error) {
	s := searchPage{visitor: v.visitor, Query: strings.TrimSpace(v.FormValue("q")), CanEmail: v.rights.Has(callers.FindPlayersByEmail)}
	s.By = databasev1.PlayerField(databasev1.PlayerField_value["PLAYER_FIELD_"+v.FormValue("by")])
	a := answer{template: "players", frame: frame{Title: "Players", Section: "players", Content: &s}}
	if s.Query == "" {
		return a, nil
	}
	var err error
	s.Found, err = v.console.staff.FindPlayers(v.ctx(), &databasev1.FindPlayersRequest{Query: s.Query, By: s.By})
	return a, err
}

// playerPage is the content of the page of one player.
type playerPage struct {
	visitor
	*databasev1.GetPlayerResponse
	ID       string
	Name     string // of the user; the id if the user was removed
	Personal bool   // the page has the personal fields
	AdminURL string // of the web application, to ban the user or to revoke sessions
	Notes    []*databasev1.Note
	Audit    []*databasev1.AuditEntry
	Done     string
	CanAudit bool
	CanNote  bool
	// CanPersonal says that the caller may see the personal fields.
	CanPersonal bool
}

// done has what a page says after a change, and the action of its row in the audit.
var done = map[string]struct{ action, text string }{
	"undelete": {"UndeleteCharacter", "The character is back."},
	"restore":  {"UndeleteCharacter", "The mark for deletion is removed."},
	"rename":   {"RenameCharacter", "The character has its new name."},
	"transfer": {"TransferCharacter", "The character has its new owner."},
	"note":     {"AddNote", "The note is added."},
}

// doneFor is how long a page may say that a change is done.
const doneFor = 10 * time.Minute

// doneText returns what the page says after a change. An address alone proves nothing: it may be old, or come from another person. So the
// audit must have a change of the same kind that the caller made in the last minutes. A caller without the right to the audit sees no text.
func (v *visit) doneText(audit []*databasev1.AuditEntry) string {
	is := done[v.FormValue("done")]
	if slices.ContainsFunc(audit, func(e *databasev1.AuditEntry) bool {
		return e.Action == is.action && (e.Who == v.name || v.name == "") && time.Since(e.At.AsTime()) < doneFor
	}) {
		return is.text
	}
	return ""
}

func (v *visit) player() (answer, error) {
	p := &playerPage{
		visitor: v.visitor, ID: v.FormValue("id"), Personal: v.Method == http.MethodPost,
		CanAudit: v.rights.Has(callers.ListAudit), CanNote: v.rights.Has(callers.AddNote), CanPersonal: v.rights.Has(callers.GetPlayerPersonal),
	}
	reason := strings.TrimSpace(v.PostFormValue("reason"))
	if p.Personal && reason == "" {
		return answer{}, errReason
	}
	var err error
	if p.GetPlayerResponse, err = v.console.staff.GetPlayer(v.ctx(), &databasev1.GetPlayerRequest{UserId: p.ID, Reason: reason}); err != nil {
		return answer{}, err
	}
	p.Name = userName(p.User, p.ID)
	if v.console.UserURL != "" {
		p.AdminURL = strings.ReplaceAll(v.console.UserURL, "{user_id}", escape(p.ID))
	}
	if err := v.readHistory(p); err != nil {
		return answer{}, err
	}
	p.Done = v.doneText(p.Audit)
	return answer{template: "player", frame: frame{Title: p.Name, Section: "players", Content: p}}, nil
}

// historyRows is the number of notes, and of the audit's rows, on the page of a player.
const historyRows = 100

// readHistory reads the notes and the audit, if the caller may see them.
func (v *visit) readHistory(p *playerPage) error {
	if v.rights.Has(callers.ListNotes) && p.User != nil {
		notes, err := v.console.staff.ListNotes(v.ctx(), &databasev1.ListNotesRequest{UserId: p.ID, Limit: historyRows})
		if err != nil {
			return err
		}
		p.Notes = notes.Notes
	}
	if p.CanAudit {
		entries, err := v.console.staff.ListAudit(v.ctx(), &databasev1.ListAuditRequest{Of: &databasev1.ListAuditRequest_UserId{UserId: p.ID}, Limit: historyRows})
		if err != nil {
			return err
		}
		p.Audit = entries.Entries
	}
	return nil
}

// escape returns an id for any place of a URL: a path, a query or a fragment.
func escape(id string) string { return strings.ReplaceAll(url.QueryEscape(id), "+", "%20") }

// userName returns how pages call a user.
func userName(u *databasev1.User, id string) string {
	name := "Removed user " + id
	switch {
	case u == nil:
	case u.DisplayUsername != "":
		name = u.DisplayUsername
	case u.Username != "":
		name = u.Username
	default:
		name = u.Name
	}
	return strings.Map(inOrder, name)
}

// inOrder replaces characters that change the order in which a browser shows the text after them, for example the id behind a name.
func inOrder(r rune) rune {
	if unicode.Is(unicode.Bidi_Control, r) || unicode.IsControl(r) {
		return utf8.RuneError
	}
	return r
}

// newNote is the form of a note. With the same RequestID it is added once.
type newNote struct{ User, Text, RequestID string }

// NewNote returns an empty form.
func (p *playerPage) NewNote() newNote { return newNote{User: p.ID, RequestID: uuid.NewString()} }

func (v *visit) addNote() (answer, error) {
	n := newNote{v.PostFormValue("id"), strings.TrimSpace(v.PostFormValue("text")), v.PostFormValue("request_id")}
	_, err := v.console.staff.AddNote(v.ctx(), &databasev1.AddNoteRequest{UserId: n.User, Text: n.Text, RequestId: n.RequestID})
	if err != nil {
		return answer{template: "note", frame: frame{Title: "Add a note", Section: "players", Content: n, Changes: true}}, err
	}
	return redirect("player", url.Values{"id": {n.User}, "done": {"note"}})
}

// auditPage is the content of the page of the audit.
type auditPage struct {
	Who     string
	User    string // id; wins over Who
	Entries []*databasev1.AuditEntry
	Next    int64 // the next page has the rows before this id; 0: there is none
}

const auditRows = 50

func (v *visit) audit() (answer, error) {
	s := &auditPage{Who: strings.TrimSpace(v.FormValue("who")), User: strings.TrimSpace(v.FormValue("user"))}
	ask := &databasev1.ListAuditRequest{Limit: auditRows, Before: number(v.FormValue("before"))}
	switch {
	case s.User != "":
		ask.Of = &databasev1.ListAuditRequest_UserId{UserId: s.User}
	case s.Who != "":
		ask.Of = &databasev1.ListAuditRequest_Who{Who: s.Who}
	}
	a := answer{template: "audit", frame: frame{Title: "Audit", Section: "audit", Content: s}}
	got, err := v.console.staff.ListAudit(v.ctx(), ask)
	if err != nil {
		return a, err
	}
	s.Entries = got.Entries
	if n := len(s.Entries); n == auditRows {
		s.Next = s.Entries[n-1].Id
	}
	return a, nil
}
