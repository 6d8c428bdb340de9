package history

import (
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func fromEnvironment(t testing.TB, name string, otherwise int) int {
	given := os.Getenv(name)
	if given == "" {
		return otherwise
	}
	value, err := strconv.Atoi(given)
	if err != nil {
		t.Fatalf("%s=%s is no number", name, given)
	}
	return value
}

// Take, count and status are exact at every poll, through both gateways, while all messages move to
// the database. MPR_HISTORY_MESSAGES sets their number: 20,000 unless set, as FerretDB reads every
// document for a find; 100,000 is for a MongoDB.
func TestExactWhileArchiving(t *testing.T) {
	const perConnection = 500
	total := fromEnvironment(t, "MPR_HISTORY_MESSAGES", 20_000)
	w := NewWorld(t, Setup{Env: map[string]string{"THRESHOLD_TIMESTAMP": "3000"}})
	ids := make([][]string, total/perConnection)
	var adding sync.WaitGroup
	began := time.Now()
	for worker := 0; worker < 4; worker++ {
		adding.Add(1)
		go func(worker int) {
			defer adding.Done()
			s := w.DialTo(worker%2, nil)
			defer s.Close()
			for n := worker; n < len(ids); n += 4 {
				ids[n] = addBatches(t, s, queueName(n), perConnection)
			}
		}(worker)
	}
	adding.Wait()
	t.Logf("%d messages added in %v", total, time.Since(began))
	polls := pollUntilArchived(t, w, ids)
	inTheMove, refusals := polls.inTheMove.Load(), polls.refused.Load()
	t.Logf("all archived after %v; polls during the move: %d; refused: %d", time.Since(began), inTheMove, refusals)
	if inTheMove < 100 || refusals > inTheMove/10 {
		t.Errorf("too few polls fell into the move, or too many were refused: %d, %d", inTheMove, refusals)
	}
	var refused polling
	for n := range ids {
		s := w.DialTo(n%2, nil)
		eventually(t, 20*time.Second, queueName(n)+" can be read at the end", func() bool {
			return pollOnce(t, s, queueName(n), ids[n], w.Random, &refused)
		})
		s.Close()
	}
}

// polling counts polls: those that were refused, because a test database is slow, say nothing.
type polling struct{ inTheMove, refused atomic.Int64 }

func queueName(n int) string { return fmt.Sprintf("queue-%d", n) }

func addBatches(t testing.TB, s *Socket, connection string, count int) []string {
	var ids []string
	for len(ids) < count {
		var batch []object
		for n := 0; n < 100 && len(ids)+len(batch) < count; n++ {
			batch = append(batch, object{"connectionId": connection, "recipientDids": []string{"did:key:z6MkA"},
				"payload": object{"n": len(ids) + len(batch), "ciphertext": padding[:200]}})
		}
		var receipts []struct{ MessageID string }
		if _, err := s.Call("addMessages", object{"messages": batch}, &receipts); err != nil {
			t.Error(err)
			return ids
		}
		for _, receipt := range receipts {
			ids = append(ids, receipt.MessageID)
		}
	}
	return ids
}

func pollUntilArchived(t testing.TB, w *World, ids [][]string) *polling {
	total := 0
	for _, own := range ids {
		total += len(own)
	}
	polls := &polling{}
	var over atomic.Bool
	var archived atomic.Int64
	var pollers sync.WaitGroup
	for poller := 0; poller < 4; poller++ {
		pollers.Add(1)
		go func(poller int) {
			defer pollers.Done()
			random := rand.New(rand.NewSource(w.Seed + int64(poller)))
			s := w.DialTo(poller%2, nil)
			defer s.Close()
			for !over.Load() {
				n := random.Intn(len(ids))
				moving := archived.Load() > 0
				answered := pollOnce(t, s, queueName(n), ids[n], random, polls)
				if answered && moving && !over.Load() {
					polls.inTheMove.Add(1)
				}
			}
		}(poller)
	}
	eventually(t, 5*time.Minute, "everything is archived", func() bool {
		archived.Store(int64(w.Metric("mpr_messages_archived_total")))
		return archived.Load() >= int64(total)
	})
	over.Store(true)
	pollers.Wait()
	return polls
}

// pollOnce asks one of the three questions; false: it was refused.
func pollOnce(t testing.TB, s *Socket, connection string, ids []string, random *rand.Rand, polls *polling) bool {
	var err error
	switch random.Intn(4) {
	case 0:
		var count int
		if count, err = s.Count(connection); err == nil && count != len(ids) {
			t.Errorf("%s: count %d, there are %d", connection, count, len(ids))
		}
	case 1:
		var status Status
		if status, err = s.Status(connection); err == nil && status.MessageCount != len(ids) {
			t.Errorf("%s: status %+v, there are %d", connection, status, len(ids))
		}
	default:
		limit := random.Intn(2) * (1 + random.Intn(len(ids)))
		var items []Item
		if items, err = s.Take(connection, TakeOptions{Limit: limit}); err == nil {
			checkPrefix(t, connection, items, ids, limit)
		}
	}
	if err != nil {
		polls.refused.Add(1)
	}
	return err == nil
}

func checkPrefix(t testing.TB, connection string, items []Item, ids []string, limit int) {
	expected := ids
	if limit > 0 {
		expected = ids[:limit]
	}
	same := len(items) == len(expected)
	for n := 0; same && n < len(items); n++ {
		same = items[n].ID == expected[n] && items[n].Token == n
	}
	if !same {
		t.Errorf("%s: take of %d: %d came, or others, or in another order", connection, limit, len(items))
	}
}
