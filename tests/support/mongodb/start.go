package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// database is a server, or several, that tests may kill and start again in place.
type database interface {
	start() error // returns when it answers
	kill()        // with SIGKILL, all processes
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
// `failed <why>`. When the input ends, everything it started is killed and removed.
func runStart(args []string) error {
	flags := flag.NewFlagSet("start", flag.ContinueOnError)
	replicas := flags.Int("replicas", 1, "1, or 3 for a replica set (mongod only)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	// The children die with the thread that started them.
	runtime.LockOSThread()
	directory, err := os.MkdirTemp("", "mpr-mongodb-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	chosen, err := choose(directory, *replicas)
	if err != nil {
		return err
	}
	defer chosen.kill()
	if err := chosen.start(); err != nil {
		return err
	}
	fmt.Println(chosen.uri())
	fmt.Println("kind", chosen.kind())
	if tls := chosen.tlsURI(); tls != "" {
		fmt.Println("tls", tls)
	}
	fmt.Println("ready")
	obey(chosen)
	return nil
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

func obey(chosen database) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var err error
		switch lines.Text() {
		case "kill":
			chosen.kill()
		case "start":
			err = chosen.start()
		case "pause":
			chosen.signal(syscall.SIGSTOP)
		case "resume":
			chosen.signal(syscall.SIGCONT)
		default:
			err = fmt.Errorf("unknown command %q", lines.Text())
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
func (g givenDatabase) signal(syscall.Signal) {}
func (g givenDatabase) uri() string           { return string(g) }
func (g givenDatabase) tlsURI() string        { return "" }
func (g givenDatabase) kind() string          { return "given" }

// process is a child that dies with this program.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
}

func startProcess(credential *syscall.Credential, log string, name string, args ...string) (*process, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	command := exec.Command(name, args...)
	command.Stdout, command.Stderr = output, output
	command.Dir = filepath.Dir(log)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: credential}
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

// freeAddress is a loopback address on which nobody listens now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
