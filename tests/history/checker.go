package history

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

// Rules says what the mode under test promises.
type Rules struct {
	// The mode may lose what was answered, or bring back what was acknowledged, when a Redis primary
	// is lost: then both are counted, not judged.
	MayForget bool
	// How long after the answer to an acknowledgement an event may still be under way to a socket of
	// another gateway.
	EventsUnderWay time.Duration
	// After it without an acknowledgement a live message is delivered again.
	AcknowledgementDeadline time.Duration
	// Within it every call is answered, if only with an error, by a gateway that is not paused.
	Patience time.Duration
}

// A take with deletion that lasts until the deadline of its call (1.8 s) hands out what it read,
// though nobody knows whether it was removed: better twice than never. From here on that is assumed.
const inDoubt = 1500 * time.Millisecond

// Verdict is what the checker found.
type Verdict struct {
	Violations []string
	Lost       int // answered adds that are nowhere, not removed by anybody
	CameBack   int // seen after their acknowledgement was answered
	Duplicates int // delivered again to a session, all reasons
	Explained  int // of those: past the acknowledgement deadline, or across a takeover
	Adds       int // answered
	Deliveries int
	Reads      int // takes and counts that were judged
}

func (v *Verdict) violate(format string, args ...any) {
	v.Violations = append(v.Violations, fmt.Sprintf(format, args...))
}

func (v Verdict) String() string {
	return fmt.Sprintf("%d adds answered, %d deliveries, %d reads judged, %d lost, %d came back, "+
		"%d delivered again (%d explained)",
		v.Adds, v.Deliveries, v.Reads, v.Lost, v.CameBack, v.Duplicates, v.Explained)
}

// message is all that the history says of one message.
type message struct {
	token        int
	addStart     time.Duration   // of the first attempt
	addEnd       time.Duration   // of the first answered one; Never: none was
	answers      int             // answered attempts
	anonymous    int             // attempts without an id of the caller's
	ids          map[string]bool // all that it was seen under
	removeStart  time.Duration   // of the first call that could remove it
	removeEnd    time.Duration   // of the first answered one
	seenAtTheEnd bool
}

// queue is all that the history says of one connection.
type queue struct {
	name       string
	operations []Operation // by start
	messages   map[int]*message
	byID       map[string]*message
	sessions   bool          // it had live sessions
	wildcard   time.Duration // start of the first take with deletion that was not answered
}

// Check judges a history. `final` holds what each connection's queue contained when all clients were
// gone, in order.
func Check(operations []Operation, faults []Interval, final map[string][]Item, rules Rules) Verdict {
	var verdict Verdict
	names := map[string][]Operation{}
	for _, operation := range operations {
		names[operation.Connection] = append(names[operation.Connection], operation)
	}
	for connection := range final {
		if _, known := names[connection]; !known {
			names[connection] = nil
		}
	}
	for name, own := range names {
		q := newQueue(name, own, final[name])
		q.checkStored(&verdict, rules)
		q.checkReads(&verdict, rules)
		q.checkOrder(&verdict, rules, final[name])
		q.checkSessions(&verdict, rules)
	}
	checkPatience(&verdict, operations, faults, rules)
	sort.Strings(verdict.Violations)
	return verdict
}

func checkPatience(verdict *Verdict, operations []Operation, faults []Interval, rules Rules) {
	for _, operation := range operations {
		took := operation.End - operation.Start
		if operation.Failure == errTooLate.Error() {
			took = patience
		} else if operation.Outcome == Unknown {
			continue // the socket is gone: that is an answer too
		}
		if rules.Patience == 0 || took <= rules.Patience {
			continue
		}
		excused := false
		for _, fault := range faults {
			excused = excused || fault.What == Pause && fault.Start < operation.Start+took &&
				operation.Start < fault.End
		}
		if !excused {
			verdict.violate("%s: %v at %v through gateway %d took %v (%v)", operation.Connection,
				operation.Kind, operation.Start, operation.Gateway, took, operation.Outcome)
		}
	}
}

func newQueue(name string, operations []Operation, final []Item) *queue {
	sort.SliceStable(operations, func(i, j int) bool { return operations[i].Start < operations[j].Start })
	q := &queue{name: name, operations: operations, messages: map[int]*message{},
		byID: map[string]*message{}, wildcard: Never}
	for _, operation := range operations {
		q.note(operation)
	}
	// Ids are known only now: what was acknowledged may have been learnt from any operation.
	for _, operation := range operations {
		q.noteRemoval(operation)
	}
	for _, item := range final {
		m := q.message(item.Token)
		m.seenAtTheEnd = true
		m.ids[item.ID] = true
		q.byID[item.ID] = m
	}
	return q
}

func (q *queue) message(token int) *message {
	m, known := q.messages[token]
	if !known {
		m = &message{token: token, addStart: Never, addEnd: Never, ids: map[string]bool{},
			removeStart: Never, removeEnd: Never}
		q.messages[token] = m
	}
	return m
}

func (q *queue) note(operation Operation) {
	switch operation.Kind {
	case Add:
		m := q.message(operation.Token)
		m.addStart = min(m.addStart, operation.Start)
		if !operation.Chosen {
			m.anonymous++
		}
		if operation.Outcome == OK {
			m.addEnd = min(m.addEnd, operation.End)
			m.answers++
			m.ids[operation.ID] = true
			q.byID[operation.ID] = m
		} else if operation.Chosen {
			q.byID[operation.ID] = m
		}
	case Take, Event:
		for _, item := range operation.Items {
			m := q.message(item.Token)
			m.ids[item.ID] = true
			q.byID[item.ID] = m
		}
	case Open:
		q.sessions = true
	}
}

func (q *queue) noteRemoval(operation Operation) {
	switch {
	case operation.Kind == Remove:
		for _, id := range operation.IDs {
			if m, known := q.byID[id]; known {
				m.removeStart = min(m.removeStart, operation.Start)
				if operation.Outcome == OK {
					m.removeEnd = min(m.removeEnd, operation.End)
				}
			}
		}
	case operation.Kind == Take && operation.Delete && operation.Outcome == OK:
		for _, item := range operation.Items {
			m := q.messages[item.Token]
			m.removeStart = min(m.removeStart, operation.Start)
			if operation.End-operation.Start < inDoubt {
				m.removeEnd = min(m.removeEnd, operation.End)
			}
		}
	case operation.Kind == Take && operation.Delete:
		q.wildcard = min(q.wildcard, operation.Start)
	}
}

// What was answered is there or was removed by somebody; nothing is there twice.
func (q *queue) checkStored(verdict *Verdict, rules Rules) {
	for _, m := range q.messages {
		verdict.Adds += min(m.answers, 1)
		gone := m.removeStart != Never || q.wildcard != Never
		if m.addEnd != Never && !m.seenAtTheEnd && !gone {
			verdict.Lost++
			if !rules.MayForget {
				verdict.violate("%s: message %d was lost: its add was answered at %v and nobody removed it",
					q.name, m.token, m.addEnd)
			}
		}
		if m.removeEnd != Never && m.seenAtTheEnd {
			q.cameBack(verdict, rules, m, "at the end")
		}
		if len(m.ids) > max(1, m.anonymous) {
			verdict.violate("%s: message %d was stored %d times", q.name, m.token, len(m.ids))
		}
		if m.addStart == Never {
			verdict.violate("%s: message %d was never added", q.name, m.token)
		}
	}
}

func (q *queue) cameBack(verdict *Verdict, rules Rules, m *message, where string) {
	verdict.CameBack++
	if !rules.MayForget {
		verdict.violate("%s: message %d came back %s: its acknowledgement was answered at %v",
			q.name, m.token, where, m.removeEnd)
	}
}

// Whether the message has to be visible throughout an operation, and whether it may be in it at all.
func (q *queue) surely(m *message, operation Operation) bool {
	return m.addEnd < operation.Start && m.removeStart > operation.End && q.wildcard > operation.End
}
func possibly(m *message, operation Operation) bool {
	return m.addStart < operation.End && m.removeEnd > operation.Start
}

// Takes and counts show what is there and nothing else. Connections with live sessions hide what is
// in flight, so only the upper bound holds for them.
func (q *queue) checkReads(verdict *Verdict, rules Rules) {
	for _, operation := range q.operations {
		if operation.Outcome != OK || (operation.Kind != Take && operation.Kind != Count) {
			continue
		}
		verdict.Reads++
		least, most := 0, 0
		for _, m := range q.messages {
			if q.surely(m, operation) {
				least++
			}
			if possibly(m, operation) {
				most++
			}
		}
		if q.sessions || rules.MayForget {
			least = 0
		}
		number := operation.Number
		if operation.Kind == Take {
			number = len(operation.Items)
			q.checkTaken(verdict, rules, operation, least)
		} else if number > most && !rules.MayForget {
			verdict.violate("%s: count at %v..%v through gateway %d was %d, but at most %d were there",
				q.name, operation.Start, operation.End, operation.Gateway, number, most)
		}
		if operation.Limit > 0 {
			least = min(least, operation.Limit)
		}
		if operation.Bounded {
			least = min(least, 1)
		}
		if number < least {
			verdict.violate("%s: %v at %v..%v through gateway %d showed %d, but at least %d were there",
				q.name, operation.Kind, operation.Start, operation.End, operation.Gateway, number, least)
		}
	}
}

func (q *queue) checkTaken(verdict *Verdict, rules Rules, operation Operation, least int) {
	if operation.Limit > 0 && len(operation.Items) > operation.Limit {
		verdict.violate("%s: take at %v returned %d, limit %d", q.name, operation.Start,
			len(operation.Items), operation.Limit)
	}
	seen := map[int]bool{}
	for _, item := range operation.Items {
		m := q.messages[item.Token]
		if seen[item.Token] {
			verdict.violate("%s: take at %v returned message %d twice", q.name, operation.Start, item.Token)
		}
		seen[item.Token] = true
		if m.removeEnd < operation.Start {
			q.cameBack(verdict, rules, m, fmt.Sprintf("in a take at %v", operation.Start))
		}
	}
	if least == 0 || operation.Limit > 0 || operation.Bounded {
		return
	}
	for _, m := range q.messages {
		if q.surely(m, operation) && !seen[m.token] {
			verdict.violate("%s: take at %v..%v through gateway %d missed message %d", q.name,
				operation.Start, operation.End, operation.Gateway, m.token)
		}
	}
}

// All reads agree with one order, and that with the order of adds that did not overlap.
func (q *queue) checkOrder(verdict *Verdict, rules Rules, final []Item) {
	after := map[int]map[int]string{} // token -> its successors, with where they were seen
	follow := func(where string, items []Item) {
		latest := time.Duration(-1)
		for i, item := range items {
			m := q.messages[item.Token]
			if m.addEnd < latest && !rules.MayForget {
				verdict.violate("%s: %s shows message %d behind one that was added later", q.name, where,
					item.Token)
			}
			if m.addStart != Never {
				latest = max(latest, m.addStart)
			}
			if i > 0 && items[i-1].Token != item.Token {
				if after[items[i-1].Token] == nil {
					after[items[i-1].Token] = map[int]string{}
				}
				after[items[i-1].Token][item.Token] = where
			}
		}
	}
	for _, operation := range q.operations {
		if operation.Kind == Take && operation.Outcome == OK {
			follow(fmt.Sprintf("take at %v", operation.Start), operation.Items)
		}
	}
	for session, items := range q.firstDeliveries() {
		follow(fmt.Sprintf("session %d", session), items)
	}
	follow("the end", final)
	if circle := findCircle(after); circle != "" && !rules.MayForget {
		verdict.violate("%s: reads disagree about the order: %s", q.name, circle)
	}
}

// What each session was sent, without what it was sent again.
func (q *queue) firstDeliveries() map[int][]Item {
	sessions := map[int][]Item{}
	known := map[[2]int]bool{}
	for _, operation := range q.operations {
		if operation.Kind != Event && (operation.Kind != Take || operation.Session == 0) {
			continue
		}
		for _, item := range operation.Items {
			key := [2]int{operation.Session, item.Token}
			if !known[key] && operation.Kind == Event && operation.Session != 0 {
				sessions[operation.Session] = append(sessions[operation.Session], item)
			}
			known[key] = true
		}
	}
	return sessions
}

// findCircle yields a message that stands in front of itself, as text.
func findCircle(after map[int]map[int]string) string {
	state := map[int]int{} // 1: on the path, 2: done
	var path []int
	var visit func(token int) string
	visit = func(token int) string {
		state[token] = 1
		path = append(path, token)
		for next, where := range after[token] {
			if state[next] == 1 {
				var steps []string
				for i := len(path) - 1; i >= 0; i-- {
					steps = append(steps, fmt.Sprint(path[i]))
					if path[i] == next {
						break
					}
				}
				return fmt.Sprintf("%d behind %d in %s; elsewhere, backwards: %s", next, token, where,
					strings.Join(steps, " < "))
			}
			if state[next] == 0 {
				if found := visit(next); found != "" {
					return found
				}
			}
		}
		state[token] = 2
		path = path[:len(path)-1]
		return ""
	}
	for token := range after {
		if state[token] == 0 {
			if found := visit(token); found != "" {
				return found
			}
		}
	}
	return ""
}

// Events: nothing after its acknowledgement, and twice to one session only past the deadline.
func (q *queue) checkSessions(verdict *Verdict, rules Rules) {
	removedThrough := map[int]map[int]time.Duration{} // socket -> token -> when it was answered
	for _, operation := range q.operations {
		if operation.Kind != Remove || operation.Outcome != OK {
			continue
		}
		for _, id := range operation.IDs {
			if m, known := q.byID[id]; known {
				if removedThrough[operation.Socket] == nil {
					removedThrough[operation.Socket] = map[int]time.Duration{}
				}
				if before, known := removedThrough[operation.Socket][m.token]; !known || operation.End < before {
					removedThrough[operation.Socket][m.token] = operation.End
				}
			}
		}
	}
	last := map[[2]int]time.Duration{}
	opened := map[int]time.Duration{}
	for _, operation := range q.operations {
		if operation.Kind == Open {
			opened[operation.Session] = operation.End
		}
		taken := operation.Kind == Take && operation.Session != 0 && operation.Outcome == OK
		if operation.Kind != Event && !taken {
			continue
		}
		for _, item := range operation.Items {
			verdict.Deliveries++
			m := q.messages[item.Token]
			answered, same := removedThrough[operation.Socket][item.Token]
			if operation.Kind == Event && ((same && answered < operation.Start) ||
				m.removeEnd != Never && operation.Start > m.removeEnd+rules.EventsUnderWay) {
				q.cameBack(verdict, rules, m, fmt.Sprintf("in an event at %v", operation.Start))
			}
			key := [2]int{operation.Session, item.Token}
			if before, again := last[key]; again && operation.Session != 0 {
				verdict.Duplicates++
				// What was handed to everybody for an orphan may cross the session that takes over.
				crossed := operation.End-opened[operation.Session] < rules.EventsUnderWay
				if crossed || operation.End-before >= rules.AcknowledgementDeadline*9/10 {
					verdict.Explained++
				} else {
					verdict.violate("%s: message %d was sent twice to session %d, at %v and %v", q.name,
						item.Token, operation.Session, before, operation.End)
				}
			}
			last[key] = operation.End
		}
	}
}
