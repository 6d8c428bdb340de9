package history

import (
	"math/rand"
	"strings"
	"time"
)

// The calls of phones and senders; each records what was asked and answered.

func (s *Socket) record(operation Operation, start, end time.Duration, err error) Operation {
	operation.Start, operation.End, operation.Outcome = start, end, outcomeOf(err)
	operation.Socket, operation.Gateway = s.Number, s.Gateway
	if err != nil {
		operation.Failure = err.Error()
		if operation.Outcome == Unknown {
			operation.End = Never
		}
	}
	s.history.Record(operation)
	return operation
}

var padding = strings.Repeat("c", 4096)

// Add adds the message `token`; with an id of the caller's unless it is empty.
func (s *Socket) Add(connection string, token int, id string, random *rand.Rand, more object) (string, error) {
	params := object{"connectionId": connection, "recipientDids": []string{"did:key:z6MkA"},
		"payload": object{"n": token, "ciphertext": padding[:random.Intn(1500)]}}
	if id != "" {
		params["messageId"] = id
	}
	for name, value := range more {
		params[name] = value
	}
	var receipt struct{ MessageID, ReceivedAt string }
	start := s.history.Now()
	end, err := s.Call("addMessage", params, &receipt)
	chosen := id != ""
	if err == nil {
		id = receipt.MessageID
	}
	s.record(Operation{Kind: Add, Connection: connection, Token: token, ID: id, Chosen: chosen}, start, end, err)
	return receipt.MessageID, err
}

type TakeOptions struct {
	Limit, LimitBytes int
	Delete            bool
	Session           int // of the holder
}

func (s *Socket) Take(connection string, options TakeOptions) ([]Item, error) {
	params := object{"connectionId": connection}
	if options.Limit > 0 {
		params["limit"] = options.Limit
	}
	if options.LimitBytes > 0 {
		params["limitBytes"] = options.LimitBytes
	}
	if options.Delete {
		params["deleteMessages"] = true
	}
	var messages []wireMessage
	start := s.history.Now()
	end, err := s.Call("takeFromQueue", params, &messages)
	operation := Operation{Kind: Take, Connection: connection, Items: itemsOf(messages),
		Limit: options.Limit, Bounded: options.LimitBytes > 0, Delete: options.Delete,
		Session: options.Session}
	s.record(operation, start, end, err)
	return operation.Items, err
}

func (s *Socket) Count(connection string) (int, error) {
	number := 0
	start := s.history.Now()
	end, err := s.Call("getAvailableMessageCount", object{"connectionId": connection}, &number)
	s.record(Operation{Kind: Count, Connection: connection, Number: number}, start, end, err)
	return number, err
}

// Status is what getQueueStatus answers.
type Status struct {
	MessageCount, TotalBytes, InFlight int
	LiveDelivery                       bool
}

func (s *Socket) Status(connection string) (Status, error) {
	var status Status
	start := s.history.Now()
	end, err := s.Call("getQueueStatus", object{"connectionId": connection}, &status)
	s.record(Operation{Kind: Count, Connection: connection, Number: status.MessageCount}, start, end, err)
	return status, err
}

func (s *Socket) Remove(connection string, items []Item) error {
	ids := make([]string, 0, len(items))
	for _, item := range items {
		ids = append(ids, item.ID)
	}
	start := s.history.Now()
	end, err := s.Call("removeMessages", object{"connectionId": connection, "messageIds": ids}, nil)
	s.record(Operation{Kind: Remove, Connection: connection, IDs: ids}, start, end, err)
	return err
}

// Open opens a live session under a number of the caller's.
func (s *Socket) Open(connection string, session int) error {
	start := s.history.Now()
	end, err := s.Call("addLiveSession", opening{object{"connectionId": connection,
		"sessionId": "session-" + number(session)}, session}, nil)
	s.record(Operation{Kind: Open, Connection: connection, Session: session}, start, end, err)
	return err
}

func (s *Socket) IsLive(connection string) (bool, error) {
	live := false
	_, err := s.Call("getLiveSession", object{"connectionId": connection}, &live)
	return live, err
}
