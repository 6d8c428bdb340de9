package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/FerretDB/wire"
	"github.com/FerretDB/wire/wirebson"
)

// proxy looks like a replica set of three to a driver. Behind it there is one server. It answers
// `hello` itself, and refuses, for the nodes that are not the primary, what a secondary refuses.
type proxy struct {
	upstream  string
	listeners []net.Listener
	primary   atomic.Int32 // -1: there is none
	set       atomic.Int32 // counts elections
	delay     atomic.Int64 // nanoseconds before each answer
	swallow   atomic.Int32 // of so many writes the answer is dropped and the connection cut
	stepDown  atomic.Int32 // of so many writes the answer is that the primary stepped down; not done
	writes    atomic.Int64 // that reached the server
	hold      hold

	mutex   sync.Mutex
	clients map[net.Conn]int // with the node they are connected to
	down    [3]bool          // such nodes accept nobody
}

// runProxy prints the URI and obeys lines on its input, each answered with `done` or `failed <why>`:
//
//	primary <0|1|2|none>  moves the primary
//	delay <milliseconds>  before every answer
//	cut, reset            all connections: closed, or closed with a reset
//	down <n>, up <n>      the node accepts no connections; its present ones are cut
//	swallow <n>           the next n writes are done, their answers are not delivered
//	stepdown <n>          the next n writes are refused with NotWritablePrimary
//	hold <text>           writes with this text in them wait before they reach the server
//	held                  answers `done <how many writes wait> <the name of the latest>`
//	step                  lets the one that waits pass
//	release               lets all pass, those that wait and those that come
//	writes                answers `done <how many writes reached the server>`
func runProxy(args []string) error {
	flags := flag.NewFlagSet("proxy", flag.ContinueOnError)
	upstream := flags.String("upstream", "", "address of the server")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p := &proxy{upstream: *upstream, clients: map[net.Conn]int{}}
	var addresses []string
	for node := 0; node < 3; node++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		p.listeners = append(p.listeners, listener)
		addresses = append(addresses, listener.Addr().String())
		go p.accept(node)
	}
	fmt.Println("mongodb://" + strings.Join(addresses, ",") + "/?replicaSet=" + setName)
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := p.obey(strings.Fields(lines.Text()))
		if err != nil {
			fmt.Println("failed", err)
		} else {
			fmt.Println(strings.TrimSpace("done " + answer))
		}
	}
	return nil
}

func (p *proxy) obey(words []string) (string, error) {
	if len(words) == 0 {
		return "", errors.New("an empty line")
	}
	if words[0] == "hold" && len(words) == 2 {
		p.hold.start(words[1])
		return "", nil
	}
	number := int64(-1)
	if len(words) > 1 && words[1] != "none" {
		var err error
		if number, err = strconv.ParseInt(words[1], 10, 32); err != nil {
			return "", err
		}
	}
	switch words[0] {
	case "primary":
		p.primary.Store(int32(number))
		p.set.Add(1)
	case "delay":
		p.delay.Store(int64(time.Millisecond) * number)
	case "cut", "reset":
		p.disconnect(-1, words[0] == "reset")
	case "down", "up":
		p.mutex.Lock()
		p.down[number%3] = words[0] == "down"
		p.mutex.Unlock()
		if words[0] == "down" {
			p.disconnect(int(number), false)
		}
	case "swallow":
		p.swallow.Store(int32(number))
	case "stepdown":
		p.stepDown.Store(int32(number))
	case "held":
		return p.hold.describe(), nil
	case "step":
		return "", p.hold.step()
	case "release":
		p.hold.release()
	case "writes":
		return strconv.FormatInt(p.writes.Load(), 10), nil
	default:
		return "", fmt.Errorf("unknown command %q", words[0])
	}
	return "", nil
}

// disconnect cuts the connections of one node, or of all.
func (p *proxy) disconnect(node int, reset bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for client, of := range p.clients {
		if node >= 0 && of != node {
			continue
		}
		if tcp, ok := client.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		client.Close()
	}
}

func (p *proxy) accept(node int) {
	for {
		client, err := p.listeners[node].Accept()
		if err != nil {
			return
		}
		p.mutex.Lock()
		down := p.down[node]
		if !down {
			p.clients[client] = node
		}
		p.mutex.Unlock()
		if down {
			client.Close()
			continue
		}
		go p.serve(client, node)
	}
}

// serve answers the requests of one connection, one after the other, as drivers send them.
func (p *proxy) serve(client net.Conn, node int) {
	defer func() {
		p.mutex.Lock()
		delete(p.clients, client)
		p.mutex.Unlock()
		client.Close()
	}()
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	fromClient, fromServer := bufio.NewReaderSize(client, 1<<16), bufio.NewReaderSize(server, 1<<16)
	for {
		request, err := readRaw(fromClient)
		if err != nil {
			return
		}
		answer, err := p.answer(request, node, server, fromServer)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(p.delay.Load()))
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

var errSwallowed = errors.New("the answer is swallowed")

func (p *proxy) answer(request []byte, node int, server net.Conn, fromServer *bufio.Reader) ([]byte, error) {
	command := commandOf(request)
	switch strings.ToLower(command) {
	case "hello", "ismaster":
		return p.hello(request, node)
	}
	if int32(node) != p.primary.Load() {
		return refusal(request)
	}
	write := command == "insert" || command == "update" || command == "delete"
	if write && takeOne(&p.stepDown) {
		return refusal(request)
	}
	if write {
		p.hold.pass(command, request)
	}
	if _, err := server.Write(request); err != nil {
		return nil, err
	}
	answer, err := readRaw(fromServer)
	if err != nil {
		return nil, err
	}
	if write {
		p.writes.Add(1)
		if takeOne(&p.swallow) {
			return nil, errSwallowed
		}
	}
	return answer, nil
}

func takeOne(left *atomic.Int32) bool {
	for {
		now := left.Load()
		if now <= 0 {
			return false
		}
		if left.CompareAndSwap(now, now-1) {
			return true
		}
	}
}

// readRaw reads one message of the wire protocol, header included.
func readRaw(from *bufio.Reader) ([]byte, error) {
	header, err := from.Peek(16)
	if err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(header)
	if length < 16 || length > 64<<20 {
		return nil, fmt.Errorf("a message of %d bytes", length)
	}
	message := make([]byte, length)
	_, err = io.ReadFull(from, message)
	return message, err
}

const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

func opCode(message []byte) uint32 { return binary.LittleEndian.Uint32(message[12:]) }

// commandOf is the name of the first member of the command document.
func commandOf(request []byte) string {
	at := 16
	switch opCode(request) {
	case opMsg:
		at += 4 // flags
		if at >= len(request) || request[at] != 0 {
			return ""
		}
		at++ // kind of section
	case opQuery:
		at += 4
		for at < len(request) && request[at] != 0 {
			at++
		}
		at += 1 + 8 // end of the collection's name; skip, limit
	default:
		return ""
	}
	at += 4 + 1 // length of the document, type of the first member
	end := at
	for end < len(request) && request[end] != 0 {
		end++
	}
	if end >= len(request) {
		return ""
	}
	return string(request[at:end])
}

func (p *proxy) hello(request []byte, node int) ([]byte, error) {
	hosts := wirebson.MakeArray(len(p.listeners))
	for _, listener := range p.listeners {
		if err := hosts.Add(listener.Addr().String()); err != nil {
			return nil, err
		}
	}
	primary := p.primary.Load()
	isPrimary := int32(node) == primary
	election := wirebson.ObjectID{}
	binary.BigEndian.PutUint32(election[8:], uint32(p.set.Load())+1)
	pairs := []any{
		"ismaster", isPrimary, "isWritablePrimary", isPrimary, "secondary", !isPrimary,
		"setName", setName, "setVersion", int32(1), "hosts", hosts,
		"me", p.listeners[node].Addr().String(),
		"maxBsonObjectSize", int32(16 << 20), "maxMessageSizeBytes", int32(48000000),
		"maxWriteBatchSize", int32(100000), "localTime", time.Now(),
		"minWireVersion", int32(0), "maxWireVersion", int32(21), "readOnly", false, "helloOk", true,
	}
	if isPrimary {
		pairs = append(pairs, "electionId", election)
	}
	if primary >= 0 {
		pairs = append(pairs, "primary", p.listeners[primary].Addr().String())
	}
	return render(request, wirebson.MustDocument(append(pairs, "ok", float64(1))...))
}

func refusal(request []byte) ([]byte, error) {
	return render(request, wirebson.MustDocument("ok", float64(0), "errmsg", "not primary",
		"code", int32(10107), "codeName", "NotWritablePrimary"))
}

// render makes the answer to a request, in the form in which it was asked.
func render(request []byte, document *wirebson.Document) ([]byte, error) {
	var body wire.MsgBody
	code := uint32(opMsg)
	var err error
	if opCode(request) == opQuery {
		code = opReply
		body, err = wire.NewOpReply(document)
	} else {
		body, err = wire.NewOpMsg(document)
	}
	if err != nil {
		return nil, err
	}
	payload, err := body.MarshalBinary()
	if err != nil {
		return nil, err
	}
	answer := make([]byte, 16, 16+len(payload))
	binary.LittleEndian.PutUint32(answer, uint32(16+len(payload)))
	copy(answer[8:12], request[4:8]) // responseTo
	binary.LittleEndian.PutUint32(answer[12:], code)
	return append(answer, payload...), nil
}
