package history

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a child that dies with this program.
type Process struct {
	Name    string
	LogFile string

	command *exec.Cmd
	ended   chan struct{}
}

func startProcess(t testing.TB, name, log string, environment []string, program string, args ...string) *Process {
	t.Helper()
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr = output, output
	command.Dir = filepath.Dir(log)
	command.Env = environment
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatalf("%s does not start: %v", name, err)
	}
	p := &Process{Name: name, LogFile: log, command: command, ended: make(chan struct{})}
	go func() {
		_ = command.Wait()
		close(p.ended)
	}()
	return p
}

func (p *Process) Signal(what syscall.Signal) { _ = p.command.Process.Signal(what) }

func (p *Process) Runs() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Kill is kill -9, also of a process that is paused.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.ended
}

// Wait yields the exit code, or -1 if the process does not end in time.
func (p *Process) Wait(limit time.Duration) int {
	select {
	case <-p.ended:
		return p.command.ProcessState.ExitCode()
	case <-time.After(limit):
		return -1
	}
}

func (p *Process) Tail(bytes int) string {
	text, _ := os.ReadFile(p.LogFile)
	if len(text) > bytes {
		text = text[len(text)-bytes:]
	}
	return fmt.Sprintf("--- %s\n%s", p.Name, text)
}

var (
	portsMutex sync.Mutex
	portsGiven = map[int]bool{}
)

// freePort is a loopback port on which nobody listens, nor on the one that lies `also` behind it.
func freePort(t testing.TB, also int) int {
	t.Helper()
	portsMutex.Lock()
	defer portsMutex.Unlock()
	for attempt := 0; attempt < 1000; attempt++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		listener.Close()
		if portsGiven[port] || port+also > 65535 {
			continue
		}
		if also > 0 {
			other, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+also))
			if err != nil {
				continue
			}
			other.Close()
		}
		portsGiven[port] = true
		return port
	}
	t.Fatal("no free port")
	return 0
}

// eventually polls until the condition holds.
func eventually(t testing.TB, limit time.Duration, what string, condition func() bool) bool {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if condition() {
			return true
		}
		if time.Now().After(end) {
			t.Errorf("not so after %v: %s", limit, what)
			return false
		}
	}
}

func must(t testing.TB, ok bool) {
	t.Helper()
	if !ok {
		t.FailNow()
	}
}
