package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
)

// wireRequest encodes an rpc as the bytes of an HTTP request.
func wireRequest(service, method string, m proto.Message) []byte {
	body, _ := proto.Marshal(m) // never fails for generated messages
	return fmt.Appendf(nil, "POST /twirp/osirose.database.v1.%s/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/protobuf\r\nContent-Length: %d\r\n\r\n%s",
		service, method, len(body), body)
}

// wire is a caller with one connection. The client of net/http costs as much CPU as the server, so on one machine it
// could never overload the server.
type wire struct {
	addr string
	conn net.Conn // nil: the next call opens one
	in   *bufio.Reader
}

// wireAnswer is the result of a call.
type wireAnswer struct {
	code  string // "" for success, a code of Twirp, or one of those below
	begun bool   // at least one byte of the answer arrived
	fresh bool   // the call opened the connection
}

const (
	wireRefused = "no connection"
	wireLost    = "no answer"
	wireCut     = "cut off"
)

// call sends a request and reads its answer. It keeps the connection unless the answer says otherwise.
func (w *wire) call(request []byte) (a wireAnswer) {
	if w.conn == nil {
		conn, err := net.DialTimeout("tcp", w.addr, callTime)
		if err != nil {
			return wireAnswer{code: wireRefused}
		}
		w.conn, w.in, a.fresh = conn, bufio.NewReader(conn), true
	}
	_ = w.conn.SetDeadline(time.Now().Add(callTime)) // fails only on a closed one
	_, err := w.conn.Write(request)
	if err == nil {
		_, err = w.in.Peek(1)
	}
	if err != nil {
		w.close()
		a.code = wireLost
		return a
	}
	a.begun = true
	var last bool
	if a.code, last, err = w.read(); err != nil {
		a.code = wireCut
	}
	if last || err != nil {
		w.close()
	}
	return a
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// read reads one answer. last reports whether it is the last one on this connection.
func (w *wire) read() (code string, last bool, err error) {
	status, length := "", 0
	for first := true; ; first = false {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return "", true, err
		}
		text := bytes.TrimSpace(line)
		if len(text) == 0 {
			break
		}
		name, value, _ := bytes.Cut(text, []byte(": "))
		switch {
		case first:
			status = string(text)
		case string(name) == "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return "", true, err
			}
		case string(name) == "Connection":
			last = string(value) == "close"
		case string(name) == "Transfer-Encoding":
			return "", true, errors.New("chunked answers are not supported")
		}
	}
	if strings.Contains(status, " 200 ") {
		_, err = w.in.Discard(length)
		return "", last, err
	}
	body := make([]byte, length)
	_, err = io.ReadFull(w.in, body)
	return twirpCode(body), last, err
}

// twirpCode extracts the code from an error of Twirp.
func twirpCode(body []byte) string {
	_, after, _ := bytes.Cut(body, []byte(`"code":"`))
	code, _, found := bytes.Cut(after, []byte(`"`))
	if !found {
		return "not Twirp's error"
	}
	return string(code)
}
