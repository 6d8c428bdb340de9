package history

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is one server, with an append-only file, so that it can be killed and started again.
type Redis struct {
	Port int

	t         testing.TB
	directory string
	process   *Process
}

func program(t testing.TB, name, debianPackage string) string {
	t.Helper()
	found, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: install the Debian package %s", name, debianPackage)
	}
	return found
}

func startRedis(t testing.TB, also int, lines ...string) *Redis {
	t.Helper()
	r := &Redis{Port: freePort(t, also), t: t, directory: t.TempDir()}
	fixed := []string{fmt.Sprint("port ", r.Port), "bind 127.0.0.1", "dir " + r.directory, `save ""`,
		"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction",
		"stream-node-max-bytes 1024"}
	text := strings.Join(append(fixed, lines...), "\n") + "\n"
	if err := os.WriteFile(r.conf(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r.Start()
	t.Cleanup(func() { r.process.Kill() })
	return r
}

func (r *Redis) conf() string    { return filepath.Join(r.directory, "redis.conf") }
func (r *Redis) Address() string { return fmt.Sprint("127.0.0.1:", r.Port) }

func (r *Redis) Start() {
	r.t.Helper()
	r.process = startProcess(r.t, "redis "+r.Address(), filepath.Join(r.directory, "redis.log"), nil,
		program(r.t, "redis-server", "redis-server"), r.conf())
	eventually(r.t, 20*time.Second, "redis-server answers", func() bool { return r.Command("PING") == "PONG" })
}

func (r *Redis) Kill()   { r.process.Kill() }
func (r *Redis) Pause()  { r.process.Signal(syscall.SIGSTOP) }
func (r *Redis) Resume() { r.process.Signal(syscall.SIGCONT) }

func (r *Redis) Command(words ...string) string {
	output, _ := r.command(words...)
	return output
}

func (r *Redis) command(words ...string) (string, error) {
	cli := exec.Command(program(r.t, "redis-cli", "redis-tools"),
		append([]string{"-h", "127.0.0.1", "-p", fmt.Sprint(r.Port)}, words...)...)
	output, err := cli.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

// Cluster is a Redis Cluster of three primaries and three replicas.
type Cluster struct {
	Nodes []*Redis
	t     testing.TB
}

func startCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	create := []string{"--cluster", "create"}
	for len(c.Nodes) < 6 {
		node := startRedis(t, 10_000, "cluster-enabled yes", "cluster-node-timeout 1500",
			"repl-diskless-sync-delay 0", "cluster-replica-validity-factor 0",
			"repl-ping-replica-period 1")
		c.Nodes = append(c.Nodes, node)
		create = append(create, node.Address())
	}
	cli := exec.Command(program(t, "redis-cli", "redis-tools"),
		append(create, "--cluster-replicas", "1", "--cluster-yes")...)
	if output, err := cli.CombinedOutput(); err != nil {
		t.Fatalf("no cluster: %v %s", err, output)
	}
	must(t, c.WaitUntilGood())
	return c
}

func (c *Cluster) WaitUntilGood() bool {
	return eventually(c.t, 60*time.Second, "the cluster is ok", func() bool {
		for _, node := range c.Nodes {
			if node.process.Runs() && (!strings.Contains(node.Command("CLUSTER", "INFO"), "cluster_state:ok") ||
				strings.Contains(node.Command("INFO", "replication"), "master_link_status:down")) {
				return false
			}
		}
		return true
	})
}

func (c *Cluster) Addresses() string {
	var all []string
	for _, node := range c.Nodes {
		all = append(all, node.Address())
	}
	return strings.Join(all, ",")
}

func (c *Cluster) Primaries() []*Redis {
	var found []*Redis
	for _, node := range c.Nodes {
		if node.process.Runs() && strings.Contains(node.Command("ROLE"), "master") {
			found = append(found, node)
		}
	}
	return found
}

// Reshard moves slots from one primary to another while clients go on.
func (c *Cluster) Reshard(slots int) error {
	primaries := c.Primaries()
	from, to := primaries[0].Command("CLUSTER", "MYID"), primaries[1].Command("CLUSTER", "MYID")
	cli := exec.Command(program(c.t, "redis-cli", "redis-tools"), "--cluster", "reshard",
		primaries[0].Address(), "--cluster-from", from, "--cluster-to", to, "--cluster-slots",
		fmt.Sprint(slots), "--cluster-yes", "--cluster-pipeline", "20")
	if output, err := cli.CombinedOutput(); err != nil {
		text := string(output)
		return fmt.Errorf("reshard: %w %s", err, text[max(0, len(text)-500):])
	}
	return nil
}
