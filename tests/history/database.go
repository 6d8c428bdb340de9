package history

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// commanded is a program of tests/support/mongodb: it prints what it is, then obeys lines.
type commanded struct {
	input io.WriteCloser
	lines chan string
	facts []string // up to `ready`
}

func startCommanded(t testing.TB, args ...string) *commanded {
	t.Helper()
	built := os.Getenv("MPR_MONGODB_FOR_TESTS")
	if built == "" {
		t.Fatal("MPR_MONGODB_FOR_TESTS must name the program that tests/support/mongodb builds")
	}
	command := exec.Command(built, args...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // it has to tidy up
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c := &commanded{input: input, lines: make(chan string, 16)}
	go func() {
		scanner := bufio.NewScanner(output)
		for scanner.Scan() {
			c.lines <- scanner.Text()
		}
		close(c.lines)
		_ = command.Wait()
	}()
	for {
		line, ok := <-c.lines
		if !ok {
			t.Fatal("no test database: see above")
		}
		if line == "ready" {
			return c
		}
		c.facts = append(c.facts, line)
	}
}

func (c *commanded) Do(t testing.TB, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(c.input, line); err != nil {
		t.Fatal(err)
	}
	select {
	case got, ok := <-c.lines:
		if !ok || !strings.HasPrefix(got, "done") {
			t.Fatalf("%s: %q", line, got)
		}
	case <-time.After(60 * time.Second):
		t.Fatalf("%s is not done", line)
	}
}

func (c *commanded) End() {
	c.input.Close()
	for range c.lines {
	}
}

var (
	databaseOnce sync.Once
	database     *commanded
)

// theDatabase is one server for all tests of this program. Who kills it starts it again.
func theDatabase(t testing.TB) *commanded {
	databaseOnce.Do(func() {
		database = startCommanded(t, "start")
		fmt.Println("database:", strings.Join(database.facts, ", "))
	})
	if database == nil {
		t.Fatal("there is no test database: an earlier test says why")
	}
	return database
}

func (c *commanded) uri() string { return c.facts[0] }

func (c *commanded) address(t testing.TB) string {
	parsed, err := url.Parse(c.uri())
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Host
}
