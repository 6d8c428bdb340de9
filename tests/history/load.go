package history

import (
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Load is a crowd of senders and phones on one installation.
type Load struct {
	LivePhones    int  // connections whose phone is online
	PollingPhones int  // connections whose phone asks now and then; counts and takes are judged exactly
	KeepSessions  bool // live phones neither move nor lose their sockets by themselves
	Slowly        bool // few messages, for servers that are under test for something else

	w        *World
	senders  sync.WaitGroup
	phones   sync.WaitGroup
	adding   atomic.Bool
	calm     atomic.Bool // phones stay where they are
	over     atomic.Bool
	live     []*livePhone
	polling  []string
	tokens   atomic.Int64
	answered atomic.Int64
	refused  atomic.Int64
}

// Start begins the load; Stop ends it.
func (l *Load) Start(w *World) {
	l.w = w
	l.adding.Store(true)
	if l.LivePhones+l.PollingPhones == 0 {
		l.LivePhones, l.PollingPhones = 4, 4
	}
	seeds := rand.New(rand.NewSource(w.Seed))
	begin := func(group *sync.WaitGroup, work func(random *rand.Rand)) {
		random := rand.New(rand.NewSource(seeds.Int63()))
		group.Add(1)
		go func() {
			defer group.Done()
			work(random)
		}()
	}
	for n := 0; n < l.LivePhones; n++ {
		phone := &livePhone{load: l, connection: fmt.Sprintf("live-%d", n)}
		l.live = append(l.live, phone)
		begin(&l.phones, phone.run)
		begin(&l.senders, func(random *rand.Rand) { l.send(phone.connection, random) })
	}
	for n := 0; n < l.PollingPhones; n++ {
		connection := fmt.Sprintf("polling-%d", n)
		l.polling = append(l.polling, connection)
		deletes := n%4 == 3 // what such a phone was not answered is gone, so fewer things are certain
		begin(&l.phones, func(random *rand.Rand) { l.poll(connection, deletes, random) })
		begin(&l.phones, func(random *rand.Rand) { l.watch(connection, random) })
		for sender := 0; sender < 2; sender++ {
			begin(&l.senders, func(random *rand.Rand) { l.send(connection, random) })
		}
	}
}

// Answered waits until so many more adds were answered: the world works.
func (l *Load) Answered(t testing.TB, more int64, limit time.Duration) bool {
	t.Helper()
	goal := l.answered.Load() + more
	return eventually(t, limit, fmt.Sprintf("%d more adds are answered", more),
		func() bool { return l.answered.Load() >= goal })
}

// wires keeps a socket to each gateway, and finds another one when that is gone.
type wires struct {
	w       *World
	random  *rand.Rand
	sockets map[int]*Socket
}

func (x *wires) any() *Socket {
	g := x.w.Gateways[x.random.Intn(len(x.w.Gateways))]
	if !g.Serving.Load() {
		g = x.w.Gateways[x.random.Intn(len(x.w.Gateways))]
	}
	if s := x.sockets[g.Index]; s != nil && s.Alive() {
		return s
	}
	s, err := x.w.Dial(g.URL(), g.Index, nil)
	if err != nil {
		x.pause(50)
		return nil
	}
	x.sockets[g.Index] = s
	return s
}

func (x *wires) pause(most int) {
	time.Sleep(time.Duration(1+x.random.Intn(most)) * time.Millisecond)
}

func (x *wires) close() {
	for _, s := range x.sockets {
		s.Close()
	}
}

// A sender adds one message after the other. Those with an id are repeated until they are answered,
// and now and then after that.
func (l *Load) send(connection string, random *rand.Rand) {
	x := &wires{l.w, random, map[int]*Socket{}}
	defer x.close()
	var known []int
	for l.adding.Load() {
		token := int(l.tokens.Add(1))
		id := ""
		if random.Intn(2) == 0 {
			id = fmt.Sprintf("%s-message-%d", connection, token)
		}
		repeat := len(known) > 0 && random.Intn(25) == 0
		if repeat {
			token = known[random.Intn(len(known))]
			id = fmt.Sprintf("%s-message-%d", connection, token)
		}
		if l.add(x, connection, token, id) && id != "" && !repeat {
			known = append(known, token)
		}
		if l.Slowly {
			x.pause(200)
		} else {
			x.pause(30)
		}
	}
}

func (l *Load) add(x *wires, connection string, token int, id string) bool {
	for attempt := 0; attempt < 200; attempt++ {
		if s := x.any(); s != nil {
			if _, err := s.Add(connection, token, id, x.random, nil); err == nil {
				l.answered.Add(1)
				return true
			}
			l.refused.Add(1)
			if id == "" {
				x.pause(100)
				return false
			}
		}
		if !l.adding.Load() && attempt > 3 {
			return false
		}
		x.pause(200)
	}
	return false
}

// A polling phone takes and acknowledges, through any gateway.
func (l *Load) poll(connection string, deletes bool, random *rand.Rand) {
	x := &wires{l.w, random, map[int]*Socket{}}
	defer x.close()
	var held []Item
	for !l.over.Load() {
		s := x.any()
		if s == nil {
			continue
		}
		switch what := random.Intn(20); {
		case what < 5:
			taken, err := s.Take(connection, TakeOptions{Limit: 1 + random.Intn(20)})
			if err == nil {
				held = taken
			}
		case what < 12 && len(held) > 0:
			// An acknowledgement, and at once the count, as wallets do; perhaps elsewhere.
			count := 1 + random.Intn(len(held))
			if s.Remove(connection, held[:count]) == nil {
				held = held[count:]
			}
			if other := x.any(); other != nil {
				_, _ = other.Count(connection)
			}
		case what < 14:
			_, _ = s.Take(connection, TakeOptions{LimitBytes: 1000 + random.Intn(4000), Limit: random.Intn(5)})
		case what < 15 && deletes:
			_, _ = s.Take(connection, TakeOptions{Limit: 1 + random.Intn(5), Delete: true})
		default:
			_, _ = s.Status(connection)
		}
		x.pause(40)
	}
}

// A watcher only looks.
func (l *Load) watch(connection string, random *rand.Rand) {
	x := &wires{l.w, random, map[int]*Socket{}}
	defer x.close()
	for !l.over.Load() {
		if s := x.any(); s != nil {
			if random.Intn(4) == 0 {
				_, _ = s.Take(connection, TakeOptions{})
			} else {
				_, _ = s.Count(connection)
			}
		}
		x.pause(60)
	}
}

// Stop ends the load: senders first; then live phones have to get what is new without asking; then
// the phones go, and what is left is read through every gateway.
func (l *Load) Stop(t testing.TB, rules Rules) Verdict {
	t.Helper()
	l.adding.Store(false)
	l.senders.Wait()
	l.calm.Store(true)
	l.checkWakeUps(t)
	l.over.Store(true)
	l.phones.Wait()
	final := l.w.readAll(t, l.connections())
	verdict := Check(l.w.Operations(), l.w.Faults(), final, rules)
	t.Log(verdict, "refused adds:", l.refused.Load())
	for n, violation := range verdict.Violations {
		if n == 20 {
			t.Errorf("and %d more", len(verdict.Violations)-n)
			break
		}
		t.Error(violation)
	}
	return verdict
}

func (l *Load) connections() []string {
	all := append([]string{}, l.polling...)
	for _, phone := range l.live {
		all = append(all, phone.connection)
	}
	return all
}

// Each live phone holds a session; a message added through any gateway reaches it by itself, and
// nothing that was accepted while the session was open is left behind.
func (l *Load) checkWakeUps(t testing.TB) {
	t.Helper()
	random := rand.New(rand.NewSource(l.w.Seed))
	for _, phone := range l.live {
		must(t, eventually(t, 20*time.Second, phone.connection+" holds a session", func() bool {
			return phone.holding.Load() > 0
		}))
	}
	for _, phone := range l.live {
		for _, g := range l.w.Gateways {
			token := int(l.tokens.Add(1))
			s := l.w.DialTo(g.Index, nil)
			if _, err := s.Add(phone.connection, token, "", random, nil); err != nil {
				t.Errorf("the last add for %s through gateway %d: %v", phone.connection, g.Index, err)
			}
			s.Close()
		}
	}
	var stranded []int
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if stranded = l.stranded(); len(stranded) == 0 {
			return
		}
	}
	t.Errorf("accepted while a live session was open, and not delivered in 12 s: messages %v", stranded)
}

// Messages that nobody was shown though their phone's session was open before they were added.
func (l *Load) stranded() []int {
	since := map[string]time.Duration{}
	for _, phone := range l.live {
		since[phone.connection] = time.Duration(phone.holding.Load())
	}
	shown := map[int]bool{}
	operations := l.w.Operations()
	for _, operation := range operations {
		for _, item := range operation.Items {
			shown[item.Token] = true
		}
	}
	var out []int
	for _, operation := range operations {
		opened, live := since[operation.Connection]
		if live && operation.Kind == Add && operation.Outcome == OK && operation.Start > opened &&
			opened > 0 && !shown[operation.Token] {
			out = append(out, operation.Token)
		}
	}
	return out
}

// readAll reads all queues through all gateways, which have to agree with themselves and each other.
func (w *World) readAll(t testing.TB, connections []string) map[string][]Item {
	t.Helper()
	final := map[string][]Item{}
	for _, g := range w.Gateways {
		s := w.DialTo(g.Index, nil)
		for _, connection := range connections {
			items := w.readOne(t, s, connection)
			if before, known := final[connection]; known && fmt.Sprint(before) != fmt.Sprint(items) {
				t.Errorf("%s: at the end, gateway %d takes %v, others %v", connection, g.Index, items, before)
			}
			final[connection] = items
		}
		s.Close()
	}
	return final
}

func (w *World) readOne(t testing.TB, s *Socket, connection string) []Item {
	t.Helper()
	var items []Item
	var err error
	eventually(t, 10*time.Second, connection+" can be read at the end", func() bool {
		items, err = s.Take(connection, TakeOptions{})
		return err == nil
	})
	var count int
	var status Status
	var failure error
	eventually(t, 10*time.Second, connection+" can be counted at the end", func() bool {
		count, err = s.Count(connection)
		status, failure = s.Status(connection)
		return err == nil && failure == nil
	})
	if err != nil || failure != nil || count != len(items) || status.MessageCount != len(items) {
		t.Errorf("%s: at the end, gateway %d takes %d, counts %d, status %d (%v, %v)", connection,
			s.Gateway, len(items), count, status.MessageCount, err, failure)
	}
	return items
}
