package history

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy is a TCP proxy that can be slow, deaf or cut.
type Proxy struct {
	listener net.Listener
	upstream string
	delay    atomic.Int64 // nanoseconds, of every piece, in both directions
	closed   atomic.Bool  // accepts nobody
	mutex    sync.Mutex
	open     map[net.Conn]bool
}

func startProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, upstream: upstream, open: map[net.Conn]bool{}}
	t.Cleanup(func() {
		listener.Close()
		p.Reset()
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

func (p *Proxy) Address() string { return p.listener.Addr().String() }

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.upstream)
	if err != nil || p.closed.Load() {
		client.Close()
		if err == nil {
			server.Close()
		}
		return
	}
	p.mutex.Lock()
	p.open[client] = true
	p.mutex.Unlock()
	var both sync.WaitGroup
	both.Add(2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func(from, to net.Conn) {
			defer both.Done()
			p.copy(from, to)
			from.Close()
			to.Close()
		}(way[0], way[1])
	}
	both.Wait()
	p.mutex.Lock()
	delete(p.open, client)
	p.mutex.Unlock()
}

func (p *Proxy) copy(from io.Reader, to io.Writer) {
	buffer := make([]byte, 64<<10)
	for {
		count, err := from.Read(buffer)
		if count > 0 {
			time.Sleep(time.Duration(p.delay.Load()))
			if _, err := to.Write(buffer[:count]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Reset ends all connections with a TCP reset.
func (p *Proxy) Reset() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for client := range p.open {
		if tcp, ok := client.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		client.Close()
	}
}

// Refuse cuts all connections and accepts none until Accept.
func (p *Proxy) Refuse() {
	p.closed.Store(true)
	p.Reset()
}
func (p *Proxy) Accept() { p.closed.Store(false) }

func (p *Proxy) Delay(by time.Duration) { p.delay.Store(int64(by)) }
