package history

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Setup says what a test runs on.
type Setup struct {
	Cluster    bool // a Redis Cluster of 3 + 3, else one Redis
	Gateways   int  // 2 unless set
	Alone      bool // without the database
	SetOfThree bool // the database looks like a replica set (see tests/support/mongodb)
	Proxied    bool // the way to Redis and to the gateways leads through proxies (single Redis only)
	Env        map[string]string
}

// World is one installation under test with all its servers, and the history of what happens to it.
type World struct {
	*History
	T         testing.TB
	Seed      int64
	Random    *rand.Rand // of the test's own goroutine
	Redis     *Redis
	Cluster   *Cluster
	Database  *commanded
	Members   *commanded // the proxy that looks like a replica set
	ToRedis   []*Proxy   // by gateway
	Gateways  []*Gateway
	numbers   atomic.Int64
	directory string
}

// Gateway is one `mpr serve`, on ports that it keeps when it is started again.
type Gateway struct {
	*Process
	Index   int
	Paused  atomic.Bool
	Serving atomic.Bool

	w          *World
	env        []string
	mutex      sync.Mutex
	ws, app    int
	launches   int
	toGateway  *Proxy
	standsByWS string
}

func (w *World) nextNumber() int { return int(w.numbers.Add(1)) }

func number(n int) string { return strconv.Itoa(n) }

var names atomic.Int64

// seedOf is MPR_HISTORY_SEED, or a new one.
func seedOf(t testing.TB) int64 {
	if given := os.Getenv("MPR_HISTORY_SEED"); given != "" {
		seed, err := strconv.ParseInt(given, 10, 64)
		if err != nil {
			t.Fatalf("MPR_HISTORY_SEED=%s is no number", given)
		}
		return seed
	}
	return time.Now().UnixNano() % 1_000_000_000
}

func NewWorld(t testing.TB, setup Setup) *World { return newWorldOf(t, setup, seedOf(t)) }

func newWorldOf(t testing.TB, setup Setup, seed int64) *World {
	t.Helper()
	t.Logf("MPR_HISTORY_SEED=%d", seed)
	w := &World{History: NewHistory(), T: t, Seed: seed, Random: rand.New(rand.NewSource(seed)),
		directory: t.TempDir()}
	name := fmt.Sprintf("history-%d-%d", os.Getpid(), names.Add(1))
	env := map[string]string{"MPR_REDIS_PREFIX": name, "MPR_MONGODB_DATABASE": name,
		"THRESHOLD_TIMESTAMP": "1000", "MPR_ACK_DEADLINE_MS": "3000", "MPR_ORPHAN_GRACE_MS": "1500",
		"MPR_REDIS_PARTITIONS": "64"}
	if setup.Cluster {
		w.Cluster = startCluster(t)
		env["REDIS_TYPE"], env["REDIS_NODES"] = "cluster", w.Cluster.Addresses()
	} else {
		w.Redis = startRedis(t, 0)
		env["REDIS_URL"] = "redis://" + w.Redis.Address()
	}
	if !setup.Alone {
		w.Database = theDatabase(t)
		env["MONGODB_URI"] = w.Database.uri()
	}
	if setup.SetOfThree {
		w.Members = startCommanded(t, "proxy", "-upstream", w.Database.address(t))
		t.Cleanup(w.Members.End)
		env["MONGODB_URI"] = w.Members.uri()
	}
	for key, value := range setup.Env {
		env[key] = value
	}
	if setup.Gateways == 0 {
		setup.Gateways = 2
	}
	for i := 0; i < setup.Gateways; i++ {
		if setup.Proxied {
			proxy := startProxy(t, w.Redis.Address())
			w.ToRedis = append(w.ToRedis, proxy)
			env["REDIS_URL"] = "redis://" + proxy.Address()
		}
		w.Gateways = append(w.Gateways, w.startGateway(i, env, setup.Proxied))
	}
	t.Cleanup(w.showLogs)
	return w
}

func (w *World) startGateway(index int, env map[string]string, proxied bool) *Gateway {
	g := &Gateway{Index: index, w: w, ws: freePort(w.T, 0), app: freePort(w.T, 0)}
	for _, kept := range []string{"PATH", "HOME", "TMPDIR", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"} {
		if value, set := os.LookupEnv(kept); set {
			g.env = append(g.env, kept+"="+value)
		}
	}
	for key, value := range env {
		g.env = append(g.env, key+"="+value)
	}
	g.env = append(g.env, fmt.Sprint("WS_PORT=", g.ws), fmt.Sprint("APP_PORT=", g.app))
	if proxied {
		g.toGateway = startProxy(w.T, fmt.Sprint("127.0.0.1:", g.ws))
	}
	g.Start()
	w.T.Cleanup(func() { g.Process.Kill() })
	return g
}

func (g *Gateway) Start() {
	binary := os.Getenv("MPR_BIN")
	if binary == "" {
		g.w.T.Fatal("MPR_BIN must name the mpr binary, for example build/dev/mpr")
	}
	g.launches++
	ports := filepath.Join(g.w.directory, fmt.Sprintf("ports-%d-%d.json", g.Index, g.launches))
	g.Process = startProcess(g.w.T, fmt.Sprint("gateway ", g.Index),
		filepath.Join(g.w.directory, fmt.Sprintf("gateway-%d.log", g.Index)),
		append(g.env, "MPR_PORTS_FILE="+ports), binary, "serve")
	ready := eventually(g.w.T, 20*time.Second, g.Name+" is ready", func() bool {
		_, err := os.Stat(ports)
		return err == nil || !g.Process.Runs()
	})
	if !ready || !g.Process.Runs() {
		g.w.T.Fatalf("%s does not start:\n%s", g.Name, g.Tail(3000))
	}
	g.Serving.Store(true)
}

// Kill is kill -9.
func (g *Gateway) Kill() {
	g.Serving.Store(false)
	g.Process.Kill()
}

// Terminate is SIGTERM; the exit code has to be 0, in time.
func (g *Gateway) Terminate() {
	g.Serving.Store(false)
	g.Signal(syscall.SIGTERM)
	if code := g.Wait(8 * time.Second); code != 0 {
		g.w.T.Errorf("after SIGTERM %s ended with %d", g.Name, code)
	}
}

func (g *Gateway) Pause(duration time.Duration) {
	g.Paused.Store(true)
	g.Signal(syscall.SIGSTOP)
	time.Sleep(duration)
	g.Signal(syscall.SIGCONT)
	g.Paused.Store(false)
}

func (g *Gateway) URL() string {
	if g.toGateway != nil {
		return "ws://" + g.toGateway.Address()
	}
	return fmt.Sprintf("ws://127.0.0.1:%d", g.ws)
}

// Page yields a page of the operators' port.
func (g *Gateway) Page(path string) (int, string) {
	client := http.Client{Timeout: 3 * time.Second}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", g.app, path))
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

// Metric is the value of a metric without labels, or -1.
func (g *Gateway) Metric(name string) float64 {
	_, body := g.Page("/metrics")
	found := regexp.MustCompile(`(?m)^` + name + ` ([0-9.e+-]+)$`).FindStringSubmatch(body)
	if found == nil {
		return -1
	}
	value, _ := strconv.ParseFloat(found[1], 64)
	return value
}

func (w *World) Metric(name string) float64 {
	sum := 0.0
	for _, g := range w.Gateways {
		sum += max(0, g.Metric(name))
	}
	return sum
}

// DialTo connects to a gateway, which has to be there.
func (w *World) DialTo(index int, onDelivery func(Delivery)) *Socket {
	w.T.Helper()
	g := w.Gateways[index]
	s, err := w.Dial(g.URL(), index, onDelivery)
	if err != nil {
		w.T.Fatalf("no connection to %s: %v", g.Name, err)
	}
	return s
}

func (w *World) showLogs() {
	if !w.T.Failed() {
		return
	}
	for _, g := range w.Gateways {
		w.T.Log(g.Tail(4000))
	}
	if keep := os.Getenv("MPR_HISTORY_KEEP"); keep != "" {
		text, _ := json.MarshalIndent(object{"operations": w.Operations(), "faults": w.Faults()}, "", " ")
		_ = os.WriteFile(keep, text, 0o644)
	}
}
