package systemtest_test

import "strings"

// redisErrorReplies are error replies of a failing Redis.
var redisErrorReplies = map[string]string{
	"readonly":    "-READONLY You can't write against a read only replica.\r\n",
	"oom":         "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
	"loading":     "-LOADING Redis is loading the dataset in memory\r\n",
	"noscript":    "-NOSCRIPT No matching script. Please use EVAL.\r\n",
	"maxclients":  "-ERR max number of clients reached\r\n",
	"noperm":      "-NOPERM User default has no permissions to run this command\r\n",
	"noauth":      "-NOAUTH Authentication required.\r\n",
	"wrongpass":   "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
	"moved":       "-MOVED 3999 127.0.0.1:1\r\n",
	"ask":         "-ASK 3999 127.0.0.1:1\r\n",
	"clusterdown": "-CLUSTERDOWN The cluster is down\r\n",
	"tryagain":    "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
	"masterdown":  "-MASTERDOWN Link with MASTER is down\r\n",
	"busy":        "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n",
	"misconf":     "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.\r\n",
	"wrongtype":   "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
	"no words":    "-\r\n",
}

// redisOddReplies are complete messages of types that the program's commands never get.
var redisOddReplies = map[string]string{
	"integer":       ":7\r\n",
	"status":        "+QUEUED\r\n",
	"nil string":    "$-1\r\n",
	"nil array":     "*-1\r\n",
	"empty string":  "$0\r\n\r\n",
	"empty array":   "*0\r\n",
	"nils":          "*3\r\n$-1\r\n$-1\r\n$-1\r\n",
	"many nils":     "*6\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n",
	"nested":        "*3\r\n*1\r\n*2\r\n:1\r\n:2\r\n*0\r\n*-1\r\n",
	"binary text":   "$6\r\n\x00\xff\xfe|ab\r\n",
	"long text":     "$3000\r\n" + strings.Repeat("x", 3000) + "\r\n",
	"resp3 null":    "_\r\n",
	"resp3 bool":    "#t\r\n",
	"resp3 double":  ",1.5\r\n",
	"resp3 big":     "(123456789012345678901234567890\r\n",
	"resp3 map":     "%1\r\n+a\r\n:1\r\n",
	"resp3 odd map": "%1\r\n*1\r\n:1\r\n:1\r\n",
	"resp3 set":     "~1\r\n:1\r\n",
	"resp3 attr":    "|1\r\n+a\r\n:1\r\n:9\r\n",
	"resp3 push":    ">2\r\n+message\r\n+x\r\n",
	"resp3 verb":    "=7\r\ntxt:abc\r\n",
	"resp3 error":   "!5\r\nERR x\r\n",
}

// redisBrokenReplies are no valid messages, or do not end.
var redisBrokenReplies = map[string]string{
	"2 GiB string":        "$2147483648\r\n",
	"longest string":      "$9223372036854775807\r\n",
	"too long a length":   "$99999999999999999999\r\n",
	"negative string":     "$-2\r\n",
	"negative array":      "*-2\r\n",
	"smallest length":     "*-9223372036854775808\r\n",
	"longest array":       "*9223372036854775807\r\n",
	"array for 32 GiB":    "*2147483648\r\n",
	"map for 32 GiB":      "%2147483648\r\n",
	"array in array":      "*1\r\n*2147483648\r\n",
	"no length":           "$\r\n",
	"no digits":           "*x\r\n",
	"blank line":          "\r\n",
	"no carriage return":  "+OK\n",
	"zeros":               strings.Repeat("\x00", 100),
	"a web server":        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request",
	"a tls server":        "\x15\x03\x01\x00\x02\x02\x46",
	"a line without end":  strings.Repeat("x", 100_000),
	"a string without":    "$10\r\n0123456789xy",
	"nested without end":  strings.Repeat("*1\r\n", 10_000),
	"bytes of all values": everyByte(),
	"nothing":             "",
}

func everyByte() string {
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(byte(i))
	}
	return b.String()
}
