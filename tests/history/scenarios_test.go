package history

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Each test is a line of the failure table: docs/operations.md names them. All of them end with the
// verdict over the whole history, and with the installation at work again.

var rules = Rules{EventsUnderWay: 500 * time.Millisecond, AcknowledgementDeadline: 3 * time.Second,
	Patience: 3 * time.Second}

var forgetful = Rules{MayForget: true, EventsUnderWay: rules.EventsUnderWay,
	AcknowledgementDeadline: rules.AcknowledgementDeadline, Patience: rules.Patience}

// pausing allows for what a gateway read before it was paused and sends when it goes on.
func pausing(duration time.Duration) Rules {
	changed := rules
	changed.EventsUnderWay += duration
	return changed
}

func underLoad(t *testing.T, setup Setup) (*World, *Load) {
	w := NewWorld(t, setup)
	load := &Load{}
	load.Start(w)
	must(t, load.Answered(t, 100, 20*time.Second))
	return w, load
}

func TestNothingGoesWrong(t *testing.T) {
	for _, on := range []Setup{{}, {Cluster: true, Gateways: 3}} {
		t.Run(fmt.Sprintf("cluster=%v", on.Cluster), func(t *testing.T) {
			w, load := underLoad(t, on)
			time.Sleep(4 * time.Second)
			eventually(t, 20*time.Second, "something is archived meanwhile", func() bool {
				return w.Metric("mpr_messages_archived_total") > 0
			})
			load.Stop(t, rules)
		})
	}
}

func TestGatewayKilledInMidAdd(t *testing.T) {
	w, load := underLoad(t, Setup{})
	for round := 0; round < 4; round++ {
		g := w.Gateways[w.Random.Intn(2)]
		time.Sleep(time.Duration(300+w.Random.Intn(700)) * time.Millisecond)
		end := w.Fault("kill -9 of " + g.Name)
		g.Kill()
		time.Sleep(time.Duration(w.Random.Intn(700)) * time.Millisecond)
		g.Start()
		end()
	}
	load.Answered(t, 50, 10*time.Second)
	load.Stop(t, rules)
}

func TestGatewayKilledWithLiveSessions(t *testing.T) {
	w := NewWorld(t, Setup{})
	const phones = 20
	var held []string
	delivered := make(chan Delivery, 1000)
	phone := w.DialTo(0, func(d Delivery) { delivered <- d })
	sender := w.DialTo(1, nil)
	for n := 0; n < phones; n++ {
		connection := fmt.Sprintf("phone-%d", n)
		held = append(held, connection)
		if err := phone.Open(connection, w.nextNumber()); err != nil {
			t.Fatal(err)
		}
		if _, err := sender.Add(connection, n+1, "", w.Random, withToken); err != nil {
			t.Fatal(err)
		}
	}
	for range held {
		<-delivered
	}
	for _, connection := range held {
		if count, err := phone.Count(connection); count != 0 || err != nil {
			t.Errorf("%s: delivered, but counted for its holder: %d %v", connection, count, err)
		}
	}
	due := w.Gateways[1].Metric("mpr_pushes_due_total")
	w.Gateways[0].Kill()
	killed := time.Now()
	waiting := map[string]bool{}
	for _, connection := range held {
		waiting[connection] = true
	}
	eventually(t, 20*time.Second, "sessions of the dead gateway are dead, their messages visible", func() bool {
		for connection := range waiting {
			live, err := sender.IsLive(connection)
			count, failure := sender.Count(connection)
			if err == nil && failure == nil && !live && count == 1 {
				delete(waiting, connection)
			}
		}
		return len(waiting) == 0
	})
	t.Logf("all dead and visible after %v", time.Since(killed))
	for n, connection := range held {
		if _, err := sender.Add(connection, 100+n, "", w.Random, withToken); err != nil {
			t.Error(err)
		}
	}
	if more := w.Gateways[1].Metric("mpr_pushes_due_total") - due; more < phones {
		t.Errorf("pushes due after the death: %v, phones: %d", more, phones)
	}
	w.Gateways[0].Start()
	for _, connection := range held {
		for gateway := range w.Gateways {
			if items, err := w.DialTo(gateway, nil).Take(connection, TakeOptions{}); len(items) != 2 || err != nil {
				t.Errorf("%s through gateway %d: %v %v", connection, gateway, items, err)
			}
		}
	}
}

var withToken = object{"pushNotificationToken": object{"type": "fcm", "token": "device"}}

// The mediator's socket vanishes, by a close or by silence.
func TestMediatorDies(t *testing.T) {
	w := NewWorld(t, Setup{Proxied: true, Env: map[string]string{"MPR_PING_INTERVAL_MS": "500",
		"MPR_DEAD_AFTER_MS": "1500", "MPR_ORPHAN_GRACE_MS": "1000"}})
	sender := w.DialTo(1, nil)
	for _, how := range []string{"its socket closes", "its socket is half open"} {
		connection := "phone of a mediator: " + how
		delivered := make(chan Delivery, 10)
		phone := w.DialTo(0, func(d Delivery) { delivered <- d })
		if err := phone.Open(connection, w.nextNumber()); err != nil {
			t.Fatal(err)
		}
		if _, err := sender.Add(connection, w.nextNumber(), "", w.Random, withToken); err != nil {
			t.Fatal(err)
		}
		<-delivered
		due := w.Metric("mpr_pushes_due_total")
		if how == "its socket closes" {
			phone.Cut()
		} else {
			w.Gateways[0].toGateway.Delay(time.Hour)
		}
		eventually(t, 10*time.Second, connection+": its session ends, its message is visible", func() bool {
			live, err := sender.IsLive(connection)
			count, failure := sender.Count(connection)
			return err == nil && failure == nil && !live && count == 1
		})
		eventually(t, 5*time.Second, connection+": a push is due", func() bool {
			return w.Metric("mpr_pushes_due_total") > due
		})
		w.Gateways[0].toGateway.Delay(0)
	}
}

func TestPhoneHalfOpenBehindLiveMediator(t *testing.T) {
	w := NewWorld(t, Setup{Env: map[string]string{"MPR_ACK_DEADLINE_MS": "1000"}})
	delivered := make(chan Delivery, 10)
	phone, sender := w.DialTo(0, func(d Delivery) { delivered <- d }), w.DialTo(1, nil)
	if err := phone.Open("phone", w.nextNumber()); err != nil {
		t.Fatal(err)
	}
	due := w.Metric("mpr_pushes_due_total")
	if _, err := sender.Add("phone", 1, "", w.Random, withToken); err != nil {
		t.Fatal(err)
	}
	<-delivered
	for gateway := range w.Gateways {
		other := w.DialTo(gateway, nil)
		eventually(t, 5*time.Second, "the message is visible again", func() bool {
			count, err := other.Count("phone")
			return err == nil && count == 1
		})
	}
	eventually(t, 5*time.Second, "a push is due", func() bool { return w.Metric("mpr_pushes_due_total") > due })
	if live, err := sender.IsLive("phone"); !live || err != nil {
		t.Errorf("the session of the living mediator: %v %v", live, err)
	}
}

// The subscriptions that carry announcements are cut again and again.
func TestWakeUpsLost(t *testing.T) {
	for _, on := range []Setup{{}, {Cluster: true}} {
		t.Run(fmt.Sprintf("cluster=%v", on.Cluster), func(t *testing.T) {
			w := NewWorld(t, on)
			load := &Load{LivePhones: 8, KeepSessions: true}
			load.Start(w)
			must(t, load.Answered(t, 100, 20*time.Second))
			nodes := []*Redis{w.Redis}
			if on.Cluster {
				nodes = w.Cluster.Nodes
			}
			for round := 0; round < 12; round++ {
				for _, node := range nodes {
					node.Command("CLIENT", "KILL", "TYPE", "pubsub")
				}
				time.Sleep(time.Duration(100+w.Random.Intn(400)) * time.Millisecond)
			}
			load.Stop(t, rules)
		})
	}
}

func TestRedisPrimaryLost(t *testing.T) {
	for _, mode := range []string{"fast", "replicated", "durable"} {
		t.Run(mode, func(t *testing.T) {
			judge := rules
			judge.MayForget = mode == "fast"
			w, load := underLoad(t, Setup{Cluster: true, Env: map[string]string{"MPR_DURABILITY": mode}})
			for round := 0; round < 2; round++ {
				primaries := w.Cluster.Primaries()
				lost := primaries[w.Random.Intn(len(primaries))]
				end := w.Fault("kill -9 of a Redis primary")
				lost.Kill()
				eventually(t, 20*time.Second, "a replica is promoted", func() bool {
					return len(w.Cluster.Primaries()) == 3
				})
				end()
				must(t, load.Answered(t, 100, 20*time.Second))
				lost.Start()
				must(t, w.Cluster.WaitUntilGood())
			}
			load.Answered(t, 100, 20*time.Second)
			verdict := load.Stop(t, judge)
			t.Logf("%s: %d of %d answered messages lost, %d came back", mode, verdict.Lost, verdict.Adds,
				verdict.CameBack)
		})
	}
}

// The only Redis dies: errors within 2 s, nothing pretended, and back by itself.
func TestRedisGone(t *testing.T) {
	w, load := underLoad(t, Setup{})
	for round := 0; round < 2; round++ {
		end := w.Fault("no Redis")
		w.Redis.Kill()
		for gateway := range w.Gateways {
			s := w.DialTo(gateway, nil)
			for name, call := range map[string]func() error{
				"count":  func() error { _, err := s.Count("polling-0"); return err },
				"take":   func() error { _, err := s.Take("polling-0", TakeOptions{}); return err },
				"add":    func() error { _, err := s.Add("polling-0", int(load.tokens.Add(1)), "", w.Random, nil); return err },
				"isLive": func() error { _, err := s.IsLive("nobody's"); return err },
				"open":   func() error { return s.Open("another", w.nextNumber()) },
			} {
				began := time.Now()
				err := call()
				if outcomeOf(err) != Refused || time.Since(began) > 2500*time.Millisecond {
					t.Errorf("without Redis, %s through gateway %d: %v after %v", name, gateway, err, time.Since(began))
				}
			}
			if code, body := w.Gateways[gateway].Page("/readyz"); code != 503 {
				t.Errorf("without Redis, /readyz of gateway %d is %d: %s", gateway, code, body)
			}
			s.Close()
		}
		w.Redis.Start()
		end()
		must(t, load.Answered(t, 100, 20*time.Second))
	}
	load.Stop(t, rules)
}

func TestDatabaseGone(t *testing.T) {
	w, load := underLoad(t, Setup{})
	end := w.Fault("no database")
	w.Database.Do(t, "kill")
	load.Answered(t, 200, 20*time.Second) // adds go on
	for _, g := range w.Gateways {
		eventually(t, 15*time.Second, "without the database, "+g.Name+" is not ready", func() bool {
			code, _ := g.Page("/readyz")
			return code == 503
		})
	}
	w.Database.Do(t, "start")
	end()
	archived := w.Metric("mpr_messages_archived_total")
	eventually(t, 40*time.Second, "archiving goes on by itself", func() bool {
		return w.Metric("mpr_messages_archived_total") > archived
	})
	eventually(t, 20*time.Second, "all are ready", func() bool {
		for _, g := range w.Gateways {
			if code, _ := g.Page("/readyz"); code != 200 {
				return false
			}
		}
		return true
	})
	load.Stop(t, rules)
}

func TestDatabasePrimaryMoves(t *testing.T) {
	w, load := underLoad(t, Setup{SetOfThree: true})
	for round, command := range []string{"primary 1", "cut", "stepdown 3", "primary none", "primary 2", "swallow 3",
		"reset", "primary 0"} {
		end := w.Fault(command)
		w.Members.Do(t, command)
		time.Sleep(time.Duration(300+w.Random.Intn(700)) * time.Millisecond)
		end()
		if round%3 == 0 {
			load.Answered(t, 20, 20*time.Second)
		}
	}
	archived := w.Metric("mpr_messages_archived_total")
	eventually(t, 40*time.Second, "archiving goes on by itself", func() bool {
		return w.Metric("mpr_messages_archived_total") > archived
	})
	load.Stop(t, rules)
}

func TestThreeGatewaysArchiveAtOnce(t *testing.T) {
	w, load := underLoad(t, Setup{Gateways: 3, Env: map[string]string{"THRESHOLD_TIMESTAMP": "100",
		"MPR_ARCHIVE_BATCH": "7", "MPR_REDIS_PARTITIONS": "4"}})
	time.Sleep(6 * time.Second)
	for _, g := range w.Gateways {
		t.Logf("gateway %d archived %v", g.Index, g.Metric("mpr_messages_archived_total"))
	}
	load.Stop(t, rules)
}

// Longer than the archive lease (10 s) and the heartbeat's time to live (12 s).
func TestGatewayPausedPastItsLeases(t *testing.T) {
	const pause = 14 * time.Second
	w, load := underLoad(t, Setup{Env: map[string]string{"THRESHOLD_TIMESTAMP": "200", "MPR_ARCHIVE_BATCH": "5"}})
	end := w.Fault(Pause)
	w.Gateways[0].Pause(pause)
	end()
	load.Answered(t, 100, 20*time.Second)
	load.Stop(t, pausing(pause))
}

// A gateway was taken for dead. What is added through another one for sessions on it is delivered,
// also if the other one does not know yet that it lives.
func TestGatewayReturns(t *testing.T) {
	w := NewWorld(t, Setup{})
	w.Gateways[0].Pause(14 * time.Second)
	const phones = 40
	delivered := make(chan string, phones)
	holder := w.DialTo(0, func(d Delivery) { delivered <- d.Connection })
	sender := w.DialTo(1, nil)
	missing := map[string]bool{}
	for n := 0; n < phones; n++ { // for longer than a heartbeat takes
		connection := fmt.Sprintf("returned-%d", n)
		// Its connections to Redis are stale at first.
		must(t, eventually(t, 5*time.Second, connection+" is opened", func() bool {
			return holder.Open(connection, w.nextNumber()) == nil
		}))
		if _, err := sender.Call("addMessage", object{"connectionId": connection, "recipientDids": []string{},
			"payload": object{"n": n}}, nil); err != nil {
			t.Fatal(err)
		}
		missing[connection] = true
		time.Sleep(100 * time.Millisecond)
	}
	for timeout := time.After(12 * time.Second); len(missing) > 0; {
		select {
		case connection := <-delivered:
			delete(missing, connection)
		case <-timeout:
			t.Errorf("not delivered after the return of their gateway: %v", missing)
			return
		}
	}
}

func TestReshardingUnderLoad(t *testing.T) {
	w, load := underLoad(t, Setup{Cluster: true})
	for round := 0; round < 2; round++ {
		end := w.Fault("resharding")
		if err := w.Cluster.Reshard(1500); err != nil {
			t.Error(err)
		}
		end()
	}
	load.Answered(t, 100, 20*time.Second)
	load.Stop(t, rules)
}

func TestSocketResets(t *testing.T) {
	w := NewWorld(t, Setup{Proxied: true, SetOfThree: true})
	load := &Load{}
	load.Start(w)
	must(t, load.Answered(t, 100, 20*time.Second))
	for round := 0; round < 20; round++ {
		gateway := w.Random.Intn(2)
		end := w.Fault("a reset")
		switch w.Random.Intn(5) {
		case 0, 1:
			w.ToRedis[gateway].Reset()
		case 2:
			w.Gateways[gateway].toGateway.Reset()
		case 3:
			w.Members.Do(t, "reset")
		case 4:
			w.ToRedis[gateway].Delay(time.Duration(w.Random.Intn(100)) * time.Millisecond)
		}
		end()
		time.Sleep(time.Duration(100+w.Random.Intn(400)) * time.Millisecond)
	}
	for _, proxy := range w.ToRedis {
		proxy.Delay(0)
	}
	load.Answered(t, 50, 20*time.Second)
	load.Stop(t, rules)
}

// One gateway cannot reach Redis for longer than its heartbeat lives; the other one goes on.
func TestGatewayCutOffFromRedis(t *testing.T) {
	w := NewWorld(t, Setup{Proxied: true})
	load := &Load{}
	load.Start(w)
	must(t, load.Answered(t, 100, 20*time.Second))
	end := w.Fault("gateway 0 is cut off from Redis")
	w.ToRedis[0].Refuse()
	time.Sleep(14 * time.Second)
	w.ToRedis[0].Accept()
	end()
	load.Answered(t, 100, 20*time.Second)
	load.Stop(t, rules)
}

func TestSlowMediator(t *testing.T) {
	// Nothing that the slow one got becomes visible before it is gone.
	w := NewWorld(t, Setup{Proxied: true, Env: map[string]string{"MPR_OUTBOUND_BYTES": "64KiB",
		"MPR_MAX_IN_FLIGHT": "100000", "MPR_ACK_DEADLINE_MS": "30000"}})
	load := &Load{KeepSessions: true}
	load.Start(w)
	must(t, load.Answered(t, 100, 20*time.Second))
	block := make(chan struct{})
	slow := w.DialTo(0, func(Delivery) { <-block })
	if err := slow.Open("slow", w.nextNumber()); err != nil {
		t.Fatal(err)
	}
	sender := w.DialTo(1, nil)
	for n := 0; n < 300; n++ {
		if _, err := sender.Call("addMessage", longer, nil); err != nil {
			t.Fatal(err)
		}
	}
	pending := func(s *Socket) int {
		count := -1
		_, _ = s.Call("getAvailableMessageCount", object{"connectionId": "slow"}, &count)
		return count
	}
	if count := pending(w.DialTo(0, nil)); count <= 0 || count == 300 {
		t.Errorf("pending behind the slow mediator: %d", count)
	}
	load.Answered(t, 100, 5*time.Second)
	close(block)
	slow.Cut()
	eventually(t, 10*time.Second, "all its messages are visible", func() bool {
		return pending(sender) == 300
	})
	load.Stop(t, rules)
}

var longer = object{"connectionId": "slow", "recipientDids": []string{},
	"payload": object{"ciphertext": strings.Repeat("c", 60_000)}}

func TestSigtermDrain(t *testing.T) {
	w, load := underLoad(t, Setup{})
	for round := 0; round < 3; round++ {
		g := w.Gateways[round%2]
		idle := w.DialTo(g.Index, nil)
		end := w.Fault("SIGTERM of " + g.Name)
		began := time.Now()
		g.Terminate()
		t.Logf("drained in %v", time.Since(began))
		<-idle.closed
		if idle.closeCode != 1012 {
			t.Errorf("its sockets were closed with %d", idle.closeCode)
		}
		must(t, load.Answered(t, 30, 10*time.Second))
		g.Start()
		end()
	}
	load.Stop(t, rules)
}
