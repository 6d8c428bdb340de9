// Package history records what concurrent clients did and saw, and judges it: see checker.go for
// the rules and README.md for the scenarios.
package history

import (
	"sync"
	"time"
)

// Kind says what an operation was.
type Kind int

const (
	Add    Kind = iota // one attempt to add the message Token
	Take               // Items came back, in this order
	Count              // Number came back
	Remove             // IDs were acknowledged
	Event              // Items were delivered to a live session, in this order
	Open               // a live session was opened
	End                // a live session ended: removed, or its socket closed
)

func (k Kind) String() string {
	return [...]string{"add", "take", "count", "remove", "event", "open", "end"}[k]
}

// Outcome says what the caller knows of it.
type Outcome int

const (
	OK      Outcome = iota
	Refused         // answered with an error; it may have taken effect all the same
	Unknown         // never answered
)

func (o Outcome) String() string { return [...]string{"ok", "error", "no answer"}[o] }

// Item is a message as it was read: Token is what the adder put into the payload, so that a message
// is recognised whatever id it got.
type Item struct {
	Token int
	ID    string
}

// Never is the end of an operation that was not answered.
const Never = time.Duration(1<<62 - 1)

// Operation is one call, or one event, with the times between which it took effect.
type Operation struct {
	Kind       Kind
	Connection string
	Start, End time.Duration // since the history began
	Outcome    Outcome
	Failure    string

	Token   int      // of an add
	ID      string   // of an add: given by the caller, or answered
	Chosen  bool     // the caller gave the id
	IDs     []string // of a remove
	Items   []Item   // of a take or an event
	Limit   int      // of a take; 0: none
	Bounded bool     // of a take: its bytes were limited as well, so that it may bring fewer
	Delete  bool     // of a take: it removes what it returns
	Number  int      // of a count

	Gateway int
	Session int // of events, opens, ends, and of calls by the holder of a live session; 0: none
	Socket  int // which socket it came through
}

// Pause is the fault in which a gateway answers nobody.
const Pause = "a gateway is paused"

// Interval is a time in which something was deliberately wrong.
type Interval struct {
	What       string
	Start, End time.Duration
}

// History collects operations of concurrent clients.
type History struct {
	mutex      sync.Mutex
	began      time.Time
	operations []Operation
	faults     []Interval
}

func NewHistory() *History { return &History{began: time.Now()} }

// Now is the time since the history began.
func (h *History) Now() time.Duration { return time.Since(h.began) }

func (h *History) Record(operation Operation) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.operations = append(h.operations, operation)
}

// Fault notes that something is wrong from now until the function that it yields is called.
func (h *History) Fault(what string) func() {
	start := h.Now()
	return func() {
		h.mutex.Lock()
		defer h.mutex.Unlock()
		h.faults = append(h.faults, Interval{what, start, h.Now()})
	}
}

func (h *History) Faults() []Interval {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return append([]Interval{}, h.faults...)
}

func (h *History) Operations() []Operation {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return append([]Operation{}, h.operations...)
}
