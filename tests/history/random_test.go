package history

import (
	"fmt"
	"sort"
	"testing"
	"time"
)

// Random faults on a random installation, MPR_HISTORY_RUNS times (twice unless set). Each run prints
// its seed; MPR_HISTORY_SEED repeats the first.
func TestRandomFaults(t *testing.T) {
	runs := fromEnvironment(t, "MPR_HISTORY_RUNS", 2)
	first := seedOf(t)
	total := Verdict{}
	for run := 0; run < runs; run++ {
		passed := t.Run(fmt.Sprintf("seed=%d", first+int64(run)), func(t *testing.T) {
			verdict := runRandomFaults(t, first+int64(run))
			total.Adds += verdict.Adds
			total.Deliveries += verdict.Deliveries
			total.Reads += verdict.Reads
			total.Lost += verdict.Lost
			total.CameBack += verdict.CameBack
			total.Duplicates += verdict.Duplicates
			total.Explained += verdict.Explained
		})
		if !passed {
			t.Logf("run %d of %d failed: MPR_HISTORY_SEED=%d MPR_HISTORY_RUNS=1", run+1, runs, first+int64(run))
		}
	}
	t.Logf("%d runs: %v", runs, total)
}

func runRandomFaults(t *testing.T, seed int64) Verdict {
	w, judge := randomWorld(t, seed)
	load := &Load{LivePhones: 1 + w.Random.Intn(4), PollingPhones: 1 + w.Random.Intn(4)}
	load.Start(w)
	must(t, load.Answered(t, 30, 20*time.Second))
	for fault := 1 + w.Random.Intn(4); fault > 0; fault-- {
		w.randomFault(t)
		time.Sleep(time.Duration(w.Random.Intn(800)) * time.Millisecond)
	}
	load.Answered(t, 30, 30*time.Second)
	return load.Stop(t, judge)
}

func randomWorld(t *testing.T, seed int64) (*World, Rules) {
	judge := pausing(3 * time.Second)
	setup := Setup{Gateways: 2 + int(seed%2), Env: map[string]string{}}
	switch (seed / 2) % 4 {
	case 0:
		setup.Cluster = true
		setup.Env["MPR_DURABILITY"] = []string{"fast", "replicated", "durable"}[(seed/8)%3]
		judge.MayForget = setup.Env["MPR_DURABILITY"] == "fast"
	case 1:
		setup.Alone = true
		setup.Proxied = true
	default:
		setup.Proxied = true
		setup.SetOfThree = seed%5 == 0
	}
	setup.Env["THRESHOLD_TIMESTAMP"] = []string{"50", "300", "2000"}[seed%3]
	setup.Env["MPR_ARCHIVE_BATCH"] = []string{"3", "40", "500"}[(seed/3)%3]
	w := newWorldOf(t, setup, seed)
	t.Logf("%+v", setup)
	return w, judge
}

func (w *World) randomFault(t *testing.T) {
	g := w.Gateways[w.Random.Intn(len(w.Gateways))]
	moment := func(most int) { time.Sleep(time.Duration(w.Random.Intn(most)) * time.Millisecond) }
	faults := map[string]func(){
		"kill -9 of a gateway": func() { g.Kill(); moment(1500); g.Start() },
		"SIGTERM of a gateway": func() { g.Terminate(); moment(500); g.Start() },
		Pause:                  func() { g.Pause(time.Duration(w.Random.Intn(3000)) * time.Millisecond) },
	}
	if w.Cluster != nil {
		faults["kill -9 of a Redis primary"] = func() {
			primaries := w.Cluster.Primaries()
			lost := primaries[w.Random.Intn(len(primaries))]
			lost.Kill()
			eventually(t, 20*time.Second, "a replica is promoted", func() bool { return len(w.Cluster.Primaries()) == 3 })
			lost.Start()
			must(t, w.Cluster.WaitUntilGood())
		}
		faults["resharding"] = func() {
			if err := w.Cluster.Reshard(200); err != nil {
				t.Error(err)
			}
		}
	} else {
		faults["kill -9 of Redis"] = func() { w.Redis.Kill(); moment(1500); w.Redis.Start() }
		faults["Redis is paused"] = func() { w.Redis.Pause(); moment(3000); w.Redis.Resume() }
		faults["subscriptions are cut"] = func() { w.Redis.Command("CLIENT", "KILL", "TYPE", "pubsub") }
		faults["resets of the way to Redis"] = func() { w.ToRedis[g.Index].Reset() }
		faults["no way to Redis"] = func() { w.ToRedis[g.Index].Refuse(); moment(3000); w.ToRedis[g.Index].Accept() }
		faults["resets of the clients"] = func() { g.toGateway.Reset() }
	}
	if w.Database != nil {
		faults["kill -9 of the database"] = func() { w.Database.Do(t, "kill"); moment(1500); w.Database.Do(t, "start") }
		faults["the database is paused"] = func() { w.Database.Do(t, "pause"); moment(3000); w.Database.Do(t, "resume") }
	}
	if w.Members != nil {
		faults["the database's primary moves"] = func() { w.Members.Do(t, fmt.Sprint("primary ", w.Random.Intn(3))) }
		faults["answers of the database are lost"] = func() { w.Members.Do(t, "swallow 2"); w.Members.Do(t, "reset") }
	}
	what := w.pick(faults)
	t.Logf("%v: %s", w.Now(), what)
	end := w.Fault(what)
	faults[what]()
	end()
}

// pick chooses by the seed, not by the order of the map.
func (w *World) pick(faults map[string]func()) string {
	var names []string
	for name := range faults {
		names = append(names, name)
	}
	sort.Strings(names)
	return names[w.Random.Intn(len(names))]
}
