package history

import (
	"math/rand"
	"strings"
	"sync/atomic"
	"time"
)

// A live phone behind a mediator: it opens a session, gets its backlog, acknowledges what is
// delivered, and now and then moves to another gateway, loses its socket or opens again.
type livePhone struct {
	load       *Load
	connection string
	holding    atomic.Int64 // since when its session is open, 0: it has none

	session    int
	socket     *Socket
	deliveries chan Delivery
	random     *rand.Rand
}

func (p *livePhone) run(random *rand.Rand) {
	p.random = random
	for !p.load.over.Load() {
		if !p.connect(false) {
			time.Sleep(time.Duration(50+random.Intn(200)) * time.Millisecond)
			continue
		}
		p.follow()
		p.holding.Store(0)
	}
	if p.socket != nil {
		if p.random.Intn(2) == 0 {
			_, _ = p.socket.Call("removeLiveSession", object{"connectionId": p.connection}, nil)
		}
		p.socket.Close()
	}
}

// connect opens a session on some gateway. A mediator that returns may first only listen, as the
// existing client does, and take its session on by acknowledging.
func (p *livePhone) connect(mayAdopt bool) bool {
	p.holding.Store(0)
	w := p.load.w
	g := w.Gateways[p.random.Intn(len(w.Gateways))]
	if !g.Serving.Load() {
		return false
	}
	session := w.nextNumber()
	deliveries := make(chan Delivery, 10_000)
	var socket *Socket
	ready := make(chan struct{})
	socket, err := w.Dial(g.URL(), g.Index, func(d Delivery) {
		<-ready
		if !strings.HasPrefix(d.Connection, "live-") {
			return // an orphan's that a test keeps beside the load
		}
		held := 0 // what comes for other phones, or before the session is open, is an orphan's
		if d.Connection == p.connection {
			held = int(socket.session.Load())
		}
		w.Record(Operation{Kind: Event, Connection: d.Connection, Start: d.At, End: d.At, Items: d.Items,
			Gateway: g.Index, Session: held, Socket: socket.Number})
		if d.Connection == p.connection {
			deliveries <- d
		}
	})
	close(ready)
	if err != nil {
		return false
	}
	_ = socket.Subscribe("messagesReceived")
	if mayAdopt && p.random.Intn(2) == 0 {
		p.adopt(socket, deliveries)
	}
	if err := socket.Open(p.connection, session); err != nil {
		socket.Close()
		return false
	}
	opened := w.Now()
	if p.socket != nil {
		p.socket.Close()
	}
	p.socket, p.session, p.deliveries = socket, session, deliveries
	p.holding.Store(int64(opened))
	p.pickUp()
	return true
}

// adopt acknowledges what comes by itself, for a moment.
func (p *livePhone) adopt(socket *Socket, deliveries chan Delivery) {
	enough := time.After(time.Duration(p.random.Intn(1200)) * time.Millisecond)
	for {
		select {
		case d := <-deliveries:
			_ = socket.Remove(p.connection, d.Items)
		case <-enough:
			return
		case <-socket.closed:
			return
		}
	}
}

// follow acknowledges deliveries until the socket is gone or left.
func (p *livePhone) follow() {
	for !p.load.over.Load() {
		patience := time.NewTimer(time.Duration(200+p.random.Intn(1500)) * time.Millisecond)
		select {
		case d := <-p.deliveries:
			if p.random.Intn(30) != 0 || p.load.calm.Load() { // else the phone lost it
				p.acknowledge(d.Items)
			}
		case <-p.socket.closed:
			patience.Stop()
			return
		case <-patience.C:
			if !p.load.calm.Load() && !p.load.KeepSessions && !p.wander() {
				return
			}
		}
		patience.Stop()
	}
}

func (p *livePhone) acknowledge(items []Item) {
	if p.socket.Remove(p.connection, items) != nil {
		return
	}
	if count, err := p.socket.Count(p.connection); err == nil && count > 0 {
		p.pickUp()
	}
}

// pickUp is the loop of pickup v2.
func (p *livePhone) pickUp() {
	for round := 0; round < 50; round++ {
		items, err := p.socket.Take(p.connection, TakeOptions{Limit: 10, Session: p.session})
		if err != nil || len(items) == 0 {
			return
		}
		if p.socket.Remove(p.connection, items) != nil {
			return
		}
		if count, err := p.socket.Count(p.connection); err != nil || count == 0 {
			return
		}
	}
}

// wander does something that phones do to their sessions; false: the socket is gone.
func (p *livePhone) wander() bool {
	switch p.random.Intn(8) {
	case 0: // to another gateway, or the same, while the old session is open
		return p.connect(false)
	case 1: // the network is gone, and comes back
		p.socket.Cut()
		return p.connect(true)
	case 2:
		p.socket.Close()
		return false
	case 3:
		_, _ = p.socket.Call("removeLiveSession", object{"connectionId": p.connection}, nil)
		return p.connect(false)
	}
	return true
}
