package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Refusal is an error that the gateway answered.
type Refusal struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d %s %s", r.Code, r.Message, r.Data) }

// errUnanswered: the socket closed before the answer came; errTooLate: the time was up.
var (
	errUnanswered = errors.New("no answer")
	errTooLate    = errors.New("no answer in time")
)

// patience is how long a call may take before it counts as unanswered; the gateway promises 2 s.
const patience = 5 * time.Second

type answer struct {
	result json.RawMessage
	err    *Refusal
	at     time.Duration
}

// Delivery is an event's content, with the time at which it was read from the socket.
type Delivery struct {
	Connection string
	Items      []Item
	At         time.Duration
}

// Socket is a JSON-RPC client on one WebSocket. Answers and events carry the time at which they were
// read, in the order in which they came.
type Socket struct {
	Number  int
	Gateway int

	history    *History
	ws         *websocket.Conn
	onDelivery func(Delivery) // called by the reader, in order
	writing    sync.Mutex
	mutex      sync.Mutex
	last       int
	pending    map[string]chan answer
	opening    map[string]int64 // calls that open a session, with its number
	session    atomic.Int64     // that this socket holds, from the answer on, for the reader
	closed     chan struct{}
	closeCode  int
}

var dialer = websocket.Dialer{HandshakeTimeout: 3 * time.Second,
	NetDial: func(network, address string) (net.Conn, error) {
		return net.DialTimeout(network, address, 2*time.Second)
	}}

func (w *World) Dial(url string, gateway int, onDelivery func(Delivery)) (*Socket, error) {
	ws, _, err := dialer.Dial(url, nil)
	if err != nil {
		return nil, err
	}
	s := &Socket{Number: w.nextNumber(), Gateway: gateway, history: w.History, ws: ws,
		onDelivery: onDelivery, pending: map[string]chan answer{}, opening: map[string]int64{}, closed: make(chan struct{})}
	go s.read()
	return s, nil
}

func (s *Socket) read() {
	for {
		_, text, err := s.ws.ReadMessage()
		at := s.history.Now()
		if err != nil {
			var closing *websocket.CloseError
			s.mutex.Lock()
			if errors.As(err, &closing) {
				s.closeCode = closing.Code
			}
			for id, waiting := range s.pending {
				close(waiting)
				delete(s.pending, id)
			}
			s.mutex.Unlock()
			close(s.closed)
			s.ws.Close()
			return
		}
		s.receive(text, at)
	}
}

type wireMessage struct {
	ID               string `json:"id"`
	ReceivedAt       string `json:"receivedAt"`
	EncryptedMessage struct {
		N int `json:"n"`
	} `json:"encryptedMessage"`
}

func itemsOf(messages []wireMessage) []Item {
	out := make([]Item, 0, len(messages))
	for _, m := range messages {
		out = append(out, Item{m.EncryptedMessage.N, m.ID})
	}
	return out
}

func (s *Socket) receive(text []byte, at time.Duration) {
	var frame struct {
		ID     string          `json:"id"`
		Method string          `json:"method"`
		Result json.RawMessage `json:"result"`
		Error  *Refusal        `json:"error"`
		Params struct {
			ConnectionID string        `json:"connectionId"`
			Messages     []wireMessage `json:"messages"`
		} `json:"params"`
	}
	if json.Unmarshal(text, &frame) != nil {
		return // rpc.on answers an id of another type; nothing here uses that
	}
	if frame.Method == "messagesReceived" {
		if s.onDelivery != nil {
			s.onDelivery(Delivery{frame.Params.ConnectionID, itemsOf(frame.Params.Messages), at})
		}
		return
	}
	s.mutex.Lock()
	waiting, known := s.pending[frame.ID]
	delete(s.pending, frame.ID)
	s.mutex.Unlock()
	if known {
		if opened := s.opened(frame.ID, frame.Error == nil); opened > 0 {
			s.session.Store(opened)
		}
		waiting <- answer{frame.Result, frame.Error, at}
	}
}

// The number of the session that this answer opens, or 0.
func (s *Socket) opened(id string, good bool) int64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if session, known := s.opening[id]; known && good {
		return session
	}
	return 0
}

type object = map[string]any

// opening are the params of an addLiveSession whose events will be known by this number.
type opening struct {
	params object
	number int
}

// Call yields the result, a *Refusal or errUnanswered, and when the answer was read.
func (s *Socket) Call(method string, params any, result any) (time.Duration, error) {
	waiting := make(chan answer, 1)
	s.mutex.Lock()
	s.last++
	id := fmt.Sprint(s.last)
	select {
	case <-s.closed:
		s.mutex.Unlock()
		return Never, errUnanswered
	default:
	}
	s.pending[id] = waiting
	if session, opens := params.(opening); opens {
		s.opening[id] = int64(session.number)
		params = session.params
	}
	s.mutex.Unlock()
	text, err := json.Marshal(object{"jsonrpc": "2.0", "method": method, "params": params, "id": id})
	if err != nil {
		panic(err)
	}
	s.writing.Lock()
	_ = s.ws.SetWriteDeadline(time.Now().Add(patience))
	err = s.ws.WriteMessage(websocket.TextMessage, text)
	s.writing.Unlock()
	if err != nil {
		s.Cut()
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-timer.C:
		return Never, errTooLate
	case got, answered := <-waiting:
		if !answered {
			return Never, errUnanswered
		}
		if got.err != nil {
			return got.at, got.err
		}
		if result != nil {
			if err := json.Unmarshal(got.result, result); err != nil {
				return got.at, &Refusal{Message: fmt.Sprintf("%s answered %s", method, got.result)}
			}
		}
		return got.at, nil
	}
}

func (s *Socket) Subscribe(events ...string) error {
	_, err := s.Call("rpc.on", events, nil)
	return err
}

// Cut ends the connection without a close handshake.
func (s *Socket) Cut() { s.ws.Close() }

// Close ends it as a client does that is done.
func (s *Socket) Close() {
	s.writing.Lock()
	_ = s.ws.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	s.writing.Unlock()
	select {
	case <-s.closed:
	case <-time.After(time.Second):
		s.Cut()
	}
}

func (s *Socket) Alive() bool {
	select {
	case <-s.closed:
		return false
	default:
		return true
	}
}

func outcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, errUnanswered), errors.Is(err, errTooLate):
		return Unknown
	}
	return Refused
}
