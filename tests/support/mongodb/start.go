package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// database is a server, or several, that tests may kill and start again in place.
type database interface {
	start() error // returns when it answers
	kill()        // with SIGKILL, all processes
	end()         // for good: nothing of it stays on the machine
	signal(what syscall.Signal)
	uri() string
	tlsURI() string // empty: there is no TLS listener
	kind() string
}

// runStart chooses a database, starts it and prints
//
//	<uri>
//	kind <what it is>
//	tls <uri>              if it listens with TLS as well
//	ready
//
// Then it obeys lines on its input: kill, start, pause, resume; each is answered with `done` or with
// `failed <why>`. When the input ends, as it does with the process that holds it, or at SIGTERM,
// everything it started is ended and removed.
func runStart(args []string) error {
	flags := flag.NewFlagSet("start", flag.ContinueOnError)
	replicas := flags.Int("replicas", 1, "1, or 3 for a replica set (mongod only)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	// The children die with the thread that started them.
	runtime.LockOSThread()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	directory, err := os.MkdirTemp(place(), "mpr-mongodb-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	chosen, err := choose(directory, *replicas)
	if err != nil {
		return err
	}
	defer chosen.end()
	if err := chosen.start(); err != nil {
		return err
	}
	fmt.Println(chosen.uri())
	fmt.Println("kind", chosen.kind())
	if tls := chosen.tlsURI(); tls != "" {
		fmt.Println("tls", tls)
	}
	fmt.Println("ready")
	obey(chosen, stop)
	return nil
}

// place is where the files of servers may lie: for all users when PostgreSQL runs as another one
// than this, and short, for the sake of its socket's name.
func place() string {
	directory := os.TempDir()
	if len(directory) > 60 {
		return "/tmp"
	}
	for at := directory; os.Getuid() == 0 && at != "/"; at = filepath.Dir(at) {
		if found, err := os.Stat(at); err != nil || found.Mode().Perm()&0o001 == 0 {
			return "/tmp"
		}
	}
	return directory
}

func choose(directory string, replicas int) (database, error) {
	if given := os.Getenv("MPR_TEST_MONGODB_URI"); given != "" {
		return givenDatabase(given), nil
	}
	if mongod, err := exec.LookPath("mongod"); err == nil {
		return newMongod(mongod, directory, replicas)
	}
	if replicas != 1 {
		return nil, fmt.Errorf("a real replica set needs `mongod` on the PATH, or MPR_TEST_MONGODB_URI")
	}
	return newFerretDB(directory)
}

func obey(chosen database, stop <-chan os.Signal) {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	for {
		var line string
		var more bool
		select {
		case <-stop:
			return
		case line, more = <-lines:
		}
		if !more {
			return
		}
		var err error
		switch line {
		case "kill":
			chosen.kill()
		case "start":
			err = chosen.start()
		case "pause":
			chosen.signal(syscall.SIGSTOP)
		case "resume":
			chosen.signal(syscall.SIGCONT)
		default:
			err = fmt.Errorf("unknown command %q", line)
		}
		if err != nil {
			fmt.Println("failed", err)
		} else {
			fmt.Println("done")
		}
	}
}

// givenDatabase is somebody else's: it can be used, not killed.
type givenDatabase string

func (g givenDatabase) start() error          { return nil }
func (g givenDatabase) kill()                 {}
func (g givenDatabase) end()                  {}
func (g givenDatabase) signal(syscall.Signal) {}
func (g givenDatabase) uri() string           { return string(g) }
func (g givenDatabase) tlsURI() string        { return "" }
func (g givenDatabase) kind() string          { return "given" }

// process is a child that dies with this program.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
}

func startProcess(attributes syscall.SysProcAttr, log string, name string, args ...string) (*process, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	command := exec.Command(name, args...)
	command.Stdout, command.Stderr = output, output
	command.Dir = filepath.Dir(log)
	if attributes.Pdeathsig == 0 {
		attributes.Pdeathsig = syscall.SIGKILL
	}
	command.SysProcAttr = &attributes
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{command: command, ended: make(chan struct{})}
	go func() {
		_ = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) kill() {
	if p == nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.ended
}

// end gives it some seconds to end as `how` tells it to.
func (p *process) end(how syscall.Signal) {
	if p == nil {
		return
	}
	p.signal(how)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		p.kill()
	}
}

func (p *process) signal(what syscall.Signal) {
	if p != nil {
		_ = p.command.Process.Signal(what)
	}
}

// waitUntil polls until answers() says so, the process ends, or half a minute is over.
func (p *process) waitUntil(log string, answers func() bool) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %s", p.command.Path, tail(log))
		default:
		}
		if answers() {
			return nil
		}
	}
	return fmt.Errorf("%s does not answer: %s", p.command.Path, tail(log))
}

func tail(file string) string {
	text, _ := os.ReadFile(file)
	if len(text) > 600 {
		text = text[len(text)-600:]
	}
	return string(text)
}

func listens(network, address string) bool {
	connection, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return false
	}
	connection.Close()
	return true
}

// freeAddresses are different loopback addresses on which nobody listens now.
func freeAddresses(count int) ([]string, error) {
	var addresses []string
	for len(addresses) < count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}
