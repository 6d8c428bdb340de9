package history

import (
	"strings"
	"testing"
	"time"
)

// Hand-made histories: each breaks one promise, and the checker has to say which. Times are in
// milliseconds; the first message added is 1.

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func added(token, start, end int) Operation {
	return Operation{Kind: Add, Connection: "c", Token: token, ID: id(token), Chosen: true,
		Start: ms(start), End: ms(end)}
}

func unanswered(o Operation) Operation {
	o.Outcome, o.End = Unknown, Never
	return o
}

func id(token int) string { return "message-" + string(rune('a'+token)) }

func items(tokens ...int) []Item {
	var out []Item
	for _, token := range tokens {
		out = append(out, Item{token, id(token)})
	}
	return out
}

func taken(start, end int, tokens ...int) Operation {
	return Operation{Kind: Take, Connection: "c", Start: ms(start), End: ms(end), Items: items(tokens...)}
}

func counted(start, end, number int) Operation {
	return Operation{Kind: Count, Connection: "c", Start: ms(start), End: ms(end), Number: number}
}

func removed(start, end int, tokens ...int) Operation {
	o := Operation{Kind: Remove, Connection: "c", Start: ms(start), End: ms(end), Socket: 1}
	for _, token := range tokens {
		o.IDs = append(o.IDs, id(token))
	}
	return o
}

func delivered(at int, tokens ...int) Operation {
	return Operation{Kind: Event, Connection: "c", Start: ms(at), End: ms(at), Items: items(tokens...),
		Session: 7, Socket: 1}
}

func opened(at int) Operation {
	return Operation{Kind: Open, Connection: "c", Start: ms(at), End: ms(at), Session: 7, Socket: 1}
}

func byHolder(o Operation) Operation           { o.Session = 7; return o }
func unheld(o Operation) Operation             { o.Session = 0; return o }
func limited(o Operation, limit int) Operation { o.Limit = limit; return o }
func deleting(o Operation) Operation           { o.Delete = true; return o }

func onSocket(o Operation, socket int) Operation { o.Socket = socket; return o }
func anonymous(o Operation) Operation            { o.Chosen = false; return o }

var strict = Rules{EventsUnderWay: ms(300), AcknowledgementDeadline: ms(3000),
	Patience: ms(2500)}

func TestCheckerFindsEachViolation(t *testing.T) {
	twice := taken(30, 31, 1)
	twice.Items = append(twice.Items, Item{1, "another-id"})
	for _, broken := range []struct {
		what  string
		says  string
		final []Item
		ops   []Operation
	}{
		{"an answered add is nowhere", "was lost", nil, []Operation{added(1, 0, 1)}},
		{"one of several is nowhere", "message 2 was lost", items(1, 3),
			[]Operation{added(1, 0, 1), added(2, 2, 3), added(3, 4, 5)}},
		{"taken after it was acknowledged", "came back in a take", nil,
			[]Operation{added(1, 0, 1), removed(2, 3, 1), taken(4, 5, 1)}},
		{"there at the end though acknowledged", "came back at the end", items(1),
			[]Operation{added(1, 0, 1), removed(2, 3, 1)}},
		{"back after a take that deletes", "came back at the end", items(1),
			[]Operation{added(1, 0, 1), deleting(taken(2, 3, 1))}},
		{"a repeated add brings it back", "came back", items(1),
			[]Operation{added(1, 0, 1), removed(2, 3, 1), added(1, 4, 5)}},
		{"an event behind the acknowledgement on its socket", "came back in an event", nil,
			[]Operation{opened(0), added(1, 1, 2), removed(3, 4, 1), delivered(5, 1)}},
		{"an event behind the first of two acknowledgements", "came back in an event", nil,
			[]Operation{opened(0), added(1, 1, 2), removed(3, 4, 1), delivered(5, 1), removed(6, 7, 1)}},
		{"an event long after the acknowledgement elsewhere", "came back in an event", nil,
			[]Operation{opened(0), added(1, 1, 2), onSocket(removed(3, 4, 1), 2), delivered(500, 1)}},
		{"stored twice under two ids", "was stored 2 times", append(items(1), Item{1, "another-id"}),
			[]Operation{added(1, 0, 1)}},
		{"an add without an id doubled", "was stored 2 times", append(items(1), Item{1, "another-id"}),
			[]Operation{anonymous(added(1, 0, 1))}},
		{"twice in one take", "returned message 1 twice", items(1), []Operation{added(1, 0, 1), twice}},
		{"a message that nobody added", "was never added", items(1, 9), []Operation{added(1, 0, 1)}},
		{"count misses one", "count at 4ms..5ms through gateway 0 showed 1", items(1, 2),
			[]Operation{added(1, 0, 1), added(2, 2, 3), counted(4, 5, 1)}},
		{"count shows one too many", "at most 1", items(1), []Operation{added(1, 0, 1), counted(2, 3, 2)}},
		{"count shows what is acknowledged", "at most 1", items(2),
			[]Operation{added(1, 0, 1), added(2, 2, 3), removed(4, 5, 1), counted(6, 7, 2)}},
		{"take misses one", "missed message 1", items(1, 2),
			[]Operation{added(1, 0, 1), added(2, 2, 3), taken(4, 5, 2)}},
		{"take with a limit brings too few", "showed 1, but at least 2", items(1, 2, 3),
			[]Operation{added(1, 0, 1), added(2, 2, 3), added(3, 4, 5), limited(taken(6, 7, 1), 2)}},
		{"take brings more than its limit", "limit 1", items(1, 2),
			[]Operation{added(1, 0, 1), added(2, 2, 3), limited(taken(6, 7, 1, 2), 1)}},
		{"a take out of order", "behind one that was added later", items(1, 2),
			[]Operation{added(1, 0, 1), added(2, 2, 3), taken(4, 5, 2, 1)}},
		{"the end out of order", "behind one that was added later", items(2, 1),
			[]Operation{added(1, 0, 1), added(2, 2, 3)}},
		{"events of a session out of order", "behind one that was added later", nil,
			[]Operation{opened(0), added(1, 1, 2), added(2, 3, 4), delivered(5, 2), delivered(6, 1),
				removed(7, 8, 1, 2)}},
		{"two takes disagree about overlapping adds", "disagree about the order", items(1, 2),
			[]Operation{added(1, 0, 10), added(2, 0, 10), taken(11, 12, 1, 2), taken(13, 14, 2, 1)}},
		{"a take and the end disagree", "disagree about the order", items(2, 3, 1),
			[]Operation{added(1, 0, 10), added(2, 0, 10), added(3, 0, 10), taken(11, 12, 1, 2, 3)}},
		{"taken by the holder while it is in flight", "sent twice to session 7", items(1),
			[]Operation{opened(0), added(1, 1, 2), delivered(3, 1), byHolder(taken(400, 405, 1))}},
		{"delivered while the holder has it by a take", "sent twice to session 7", items(1),
			[]Operation{added(1, 0, 1), opened(2), byHolder(taken(3, 4, 1)), delivered(500, 1)}},
		{"a call that took too long", "took 2.6s", nil, []Operation{counted(0, 2600, 0)}},
		{"a call that was not answered in time", "took 5s", nil,
			[]Operation{{Kind: Count, Connection: "c", Outcome: Unknown, End: Never, Failure: errTooLate.Error()}}},
		{"sent twice within the deadline", "sent twice to session 7", nil,
			[]Operation{opened(0), added(1, 1, 2), delivered(600, 1), delivered(1000, 1), removed(1100, 1101, 1)}},
	} {
		verdict := Check(broken.ops, nil, map[string][]Item{"c": broken.final}, strict)
		if !strings.Contains(strings.Join(verdict.Violations, "\n"), broken.says) {
			t.Errorf("%s: no violation that says %q, but %q", broken.what, broken.says, verdict.Violations)
		}
	}
}

func TestCheckerAcceptsWhatIsAllowed(t *testing.T) {
	foreign := removed(2, 3, 1)
	foreign.Connection = "other"
	pauses := []Interval{{Pause, ms(10000), ms(12000)}}
	for _, fine := range []struct {
		what  string
		final []Item
		ops   []Operation
	}{
		{"nothing happened", nil, nil},
		{"an unanswered add is there", items(1), []Operation{unanswered(added(1, 0, 0))}},
		{"an unanswered add is not there", nil, []Operation{unanswered(added(1, 0, 0))}},
		{"an unanswered add and its repetition", items(1),
			[]Operation{unanswered(added(1, 0, 0)), added(1, 2, 3)}},
		{"an unanswered acknowledgement worked", nil,
			[]Operation{added(1, 0, 1), unanswered(removed(2, 0, 1))}},
		{"an unanswered acknowledgement did not work", items(1),
			[]Operation{added(1, 0, 1), unanswered(removed(2, 0, 1)), taken(3, 4, 1)}},
		{"a take while an add is under way", items(1, 2),
			[]Operation{added(1, 0, 9), added(2, 10, 20), taken(11, 15, 1), counted(11, 15, 2)}},
		{"a take while an acknowledgement is under way", nil,
			[]Operation{added(1, 0, 1), removed(2, 9, 1), taken(3, 4, 1), taken(3, 4), counted(5, 6, 0)}},
		{"an unanswered take that deletes may have taken it", nil,
			[]Operation{added(1, 0, 1), unanswered(deleting(taken(2, 0)))}},
		{"back after a take that ran into its deadline before it heard of the deletion", items(1),
			[]Operation{added(1, 0, 1), deleting(taken(2, 1802, 1)), taken(1900, 1901, 1)}},
		{"overlapping adds in either order", items(2, 1), []Operation{added(1, 0, 10), added(2, 1, 9)}},
		{"the same id in another connection", items(1), []Operation{added(1, 0, 1), foreign}},
		{"a message in flight is hidden", items(1),
			[]Operation{opened(0), added(1, 1, 2), delivered(3, 1), counted(4, 5, 0), taken(6, 7)}},
		{"sent again after the deadline", nil,
			[]Operation{opened(0), added(1, 1, 2), delivered(3, 1), delivered(3010, 1), removed(3020, 3021, 1)}},
		{"sent again, behind a younger one", nil,
			[]Operation{opened(0), added(1, 1, 2), added(2, 3, 4), delivered(5, 1), delivered(6, 2),
				delivered(3010, 1), removed(3020, 3021, 1, 2)}},
		{"an event that was under way while another gateway acknowledged", nil,
			[]Operation{opened(0), added(1, 1, 2), onSocket(removed(3, 4, 1), 2), delivered(200, 1)}},
		{"a long call while a gateway was paused", nil, []Operation{counted(9000, 19000, 0)}},
		{"a call whose socket closed", nil, []Operation{unanswered(counted(0, 0, 0))}},
		{"an orphan's event that crosses the takeover", nil,
			[]Operation{opened(0), added(1, 1, 2), delivered(3, 1), delivered(4, 1), removed(10, 11, 1)}},
		{"the same event for two sockets that listen for orphans", nil,
			[]Operation{added(1, 1, 2), unheld(delivered(3, 1)), unheld(delivered(3, 1)), removed(10, 11, 1)}},
		{"a take with a limit", items(1, 2, 3),
			[]Operation{added(1, 0, 1), added(2, 2, 3), added(3, 4, 5), limited(taken(6, 7, 1, 2), 2)}},
	} {
		verdict := Check(fine.ops, pauses, map[string][]Item{"c": fine.final}, strict)
		if len(verdict.Violations) > 0 {
			t.Errorf("%s: %q", fine.what, verdict.Violations)
		}
	}
}

func TestCheckerCountsWhereTheModeMayForget(t *testing.T) {
	forgetful := strict
	forgetful.MayForget = true
	verdict := Check([]Operation{added(1, 0, 1), added(2, 2, 3), removed(4, 5, 2)}, nil,
		map[string][]Item{"c": items(2)}, forgetful)
	if len(verdict.Violations) > 0 || verdict.Lost != 1 || verdict.CameBack != 1 {
		t.Errorf("%v %q", verdict, verdict.Violations)
	}
}
