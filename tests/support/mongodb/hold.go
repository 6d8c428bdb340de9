package main

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
)

// hold makes writes wait, so that a test can do something else in between.
type hold struct {
	mutex   sync.Mutex
	text    []byte // empty: nothing is held
	waiting []chan struct{}
	latest  string // the command that came last
}

func (h *hold) start(text string) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.text = []byte(text)
}

// pass returns when the write may go on.
func (h *hold) pass(command string, request []byte) {
	h.mutex.Lock()
	if len(h.text) == 0 || !bytes.Contains(request, h.text) {
		h.mutex.Unlock()
		return
	}
	goOn := make(chan struct{})
	h.waiting = append(h.waiting, goOn)
	h.latest = command
	h.mutex.Unlock()
	<-goOn
}

func (h *hold) describe() string {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return fmt.Sprint(len(h.waiting), " ", h.latest)
}

func (h *hold) step() error {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if len(h.waiting) == 0 {
		return errors.New("nothing waits")
	}
	close(h.waiting[0])
	h.waiting = h.waiting[1:]
	return nil
}

func (h *hold) release() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.text = nil
	for _, goOn := range h.waiting {
		close(goOn)
	}
	h.waiting = nil
}
