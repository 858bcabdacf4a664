package emf

import (
	"cmp"
	"log/slog"
	"strconv"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/request"
)

// fixed holds the parts that all lines of a process share.
type fixed struct {
	request    string // the directives of the request's metrics
	rest       string // the start of the directive of all other metrics
	level      string
	properties string // of the process
}

// newFixed sets the dimensions. They are not spelled like the attributes of the request's log line, because the deployment's
// alarms count those.
func newFixed(o Options) fixed {
	stage, properties := "", ""
	if o.Stage != "" {
		stage, properties = `"Stage"`, property("Stage", o.Stage)
	}
	set := func(names string) string {
		if stage != "" && names != "" {
			return "[" + stage + "," + names + "]"
		}
		return "[" + cmp.Or(names, stage) + "]"
	}
	directive := func(dimensions string) string {
		return `{"Namespace":"` + Namespace + `","Dimensions":[` + dimensions + `],"Metrics":[`
	}
	f := fixed{level: "INFO", properties: properties + property("Version", o.Version) + property("Revision", o.Revision)}
	if o.Level > slog.LevelInfo {
		f.level = "WARN" // not higher: the alarms count lines at ERROR
	}
	f.request = directive(set(`"RPC","Code"`)+","+set("")) + `{"Name":"Requests","Unit":"Count"}]},` +
		directive(set(`"RPC"`)+","+set("")) + `{"Name":"Duration","Unit":"Milliseconds"}]}`
	f.rest = "," + directive(set(""))
	return f
}

// property returns a member of the line, "" if the value is empty.
func property(name, value string) string {
	if value == "" {
		return ""
	}
	return string(appendText(append([]byte(`,"`), name+`":`...), value))
}

// appendLine appends the line, including its line break.
func (f fixed) appendLine(b []byte, at time.Time, of *request.Record, did totals) []byte {
	b = append(b, `{"_aws":{"Timestamp":`...)
	b = strconv.AppendInt(b, at.UnixMilli(), 10)
	b = append(append(b, `,"CloudWatchMetrics":[`...), f.request...)
	separator := f.rest
	for i := range did {
		if did.say(i) {
			b = appendName(append(b, separator...), named[i])
			separator = ","
		}
	}
	if separator == "," {
		b = append(b, `]}`...)
	}
	b = append(append(b, `]},"level":"`...), f.level...)
	b = append(at.UTC().AppendFormat(append(b, `","timestamp":"`...), "2006-01-02T15:04:05.000Z07:00"), '"')
	b = append(b, f.properties...)
	b = appendText(append(b, `,"RPC":`...), cmp.Or(of.Class.RPC(), "none")) // a dimension cannot be empty
	b = appendText(append(b, `,"Code":`...), string(cmp.Or(of.Class.Code, twirp.Internal)))
	for _, p := range [...]struct{ name, value string }{{"Protocol", string(of.Class.Protocol)}, {"Cache", of.Class.Cache}, {"Request", of.ID}} {
		if p.value != "" {
			b = appendText(append(append(append(b, `,"`...), p.name...), `":`...), p.value)
		}
	}
	b = append(b, `,"Requests":1,"Duration":`...)
	b = appendMilliseconds(b, of.Took.Microseconds())
	for i, n := range did {
		if did.say(i) {
			b = appendValue(b, named[i], n)
		}
	}
	return append(b, '}', '\n')
}

func appendName(b []byte, m metric) []byte {
	unit := `","Unit":"Count"}`
	if m.time {
		unit = `","Unit":"Milliseconds"}`
	}
	return append(append(append(b, `{"Name":"`...), m.name...), unit...)
}

func appendValue(b []byte, m metric, value int64) []byte {
	b = append(append(append(b, ',', '"'), m.name...), '"', ':')
	if m.time {
		return appendMilliseconds(b, value)
	}
	return strconv.AppendInt(b, value, 10)
}

func appendMilliseconds(b []byte, us int64) []byte {
	return strconv.AppendFloat(b, float64(us)/1000, 'f', -1, 64)
}

// appendText appends a JSON string. It replaces every character that is not printable ASCII; no name here contains such
// characters.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			c = '?'
		}
		b = append(b, c)
	}
	return append(b, '"')
}
