// Who is live where, across any number of gateways, in Redis.
//
// A session is one STRING (session_record.hpp) in the partition of its connection, written by the
// newest opener. It is live while its gateway is: each gateway beats every few seconds into one
// ZSET and remembers what it was answered (membership.hpp). What gateways tell each other goes over
// pub/sub (channel_message.hpp), which may lose messages; whenever something may have been lost,
// the listener hears on_gap().
//
// Any executor thread may call. Listeners are called on the client's thread and on a thread of the
// directory's own, both executors. Client, clock and metrics outlive the directory; no call may be
// under way when it is destroyed. It never keeps a table of sessions.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/metrics.hpp"
#include "core/ports.hpp"
#include "store/redis/announcement_numbers.hpp"
#include "store/redis/client.hpp"
#include "store/redis/directory_inbox.hpp"
#include "store/redis/keys.hpp"
#include "store/redis/membership.hpp"
#include "store/redis/session_record.hpp"
#include "store/redis/ticking_thread.hpp"

namespace mpr {

class RedisDirectory final : public LiveDirectory {
 public:
  struct Options {
    GatewayId self;
    std::chrono::milliseconds heartbeat_interval{3'000};
    std::chrono::milliseconds dead_after{12'000};
    std::chrono::milliseconds orphan_grace{10'000};
    std::chrono::milliseconds beacon_interval{1'000};
    // A number that has not come for so long is lost.
    std::chrono::milliseconds number_patience{1'000};
    // Between two on_gap().
    std::chrono::milliseconds gap_interval{500};
    // A record that nobody renews is gone after this; the listener is asked to renew its own four
    // times as often.
    std::chrono::seconds session_ttl{24 * 3600};
  };

  // Larger messages are not broadcast: they stay pending.
  static constexpr std::size_t kMostBroadcastBytes = 64 * 1024;

  // Subscribes and beats for the first time; blocks for that, until the deadline at most.
  static Result<std::unique_ptr<RedisDirectory>> start(redis::Client& client, redis::Keys keys,
                                                       Options options, Clock& clock,
                                                       Metrics& metrics, Deadline deadline);
  ~RedisDirectory() override;
  RedisDirectory(const RedisDirectory&) = delete;
  RedisDirectory& operator=(const RedisDirectory&) = delete;

  // Tells everybody that this gateway ends: its sessions are lost at once. Blocks for seconds at
  // most; when it returns, the listener is called no more. The destructor does it too.
  void leave();

  Task<Result<Epoch>> open(Connection connection, SessionId session_id, Position opened_at,
                           Deadline deadline) override;
  Task<Result<bool>> close(Connection connection, Epoch epoch, Deadline deadline) override;
  Task<Result<std::optional<SessionPlace>>> find(Connection connection, Deadline deadline) override;
  Task<Result<bool>> moved_on(Connection connection, SessionId session_id,
                              Deadline deadline) override;
  Task<Result<SessionPlace>> renew(Connection connection, SessionId session_id, Epoch epoch,
                                   Position opened_at, Deadline deadline) override;
  Presence presence(const SessionPlace& place) const override;
  Task<Result<void>> announce(Connection connection, SessionPlace place, Position position,
                              Deadline deadline) override;
  Task<Result<void>> broadcast(Connection connection, Epoch orphan, StoredMessage message,
                               Deadline deadline) override;
  Task<Result<void>> listener_came(TenantId tenant, Deadline deadline) override;
  // A gateway that comes back has a new id: what it held before is lost, and then gone.
  Task<Result<std::vector<RecoveredSession>>> recover() override;
  void listen(LiveDirectoryListener& listener) override;
  const GatewayId& self() const override { return options_.self; }
  Result<void> ready() const override;

 private:
  RedisDirectory(redis::Client& client, redis::Keys keys, Options options, Clock& clock,
                 Metrics& metrics);

  // --- sessions (redis_directory.cpp); any executor thread -----------------------------------
  // Writes a record over what is there, and yields that.
  Task<redis::Outcome<Result<std::optional<redis::SessionRecord>>>> write_record(
      std::string key, redis::SessionRecord record, Deadline deadline);
  // Nothing if there is none, or its gateway is gone.
  Task<Result<std::optional<redis::SessionRecord>>> read_record(Connection connection,
                                                                Deadline deadline);
  Task<redis::Outcome<bool>> delete_record(Connection connection, Epoch epoch, Deadline deadline);
  Task<Result<SessionPlace>> renew_record(Connection connection, redis::SessionRecord record,
                                          Deadline deadline);
  Task<Result<void>> say_to_everybody(redis::ChannelContent content, Deadline deadline);
  std::string encode(redis::ChannelContent content) const;
  Epoch next_epoch(Epoch larger_than);
  // Tells the gateway that held the connection's session before; later, and nobody learns here
  // whether it arrived. What is lost is missed there by its number, except what goes to all.
  void tell_superseded(std::vector<GatewayId> former, Connection connection, Epoch newer);
  // Nobody knows whether the record was written: it has to go.
  void withdraw_later(Connection connection, Epoch epoch);
  // A close that happens while the same session is being renewed has the last word.
  void begin_renewal(const Connection& connection, Epoch epoch);
  bool end_renewal(const Connection& connection, Epoch epoch);  // true: closed meanwhile
  void note_closed(const Connection& connection, Epoch epoch);

  // --- background (directory_background.cpp); own thread --------------------------------------
  Result<void> join(Deadline deadline);  // the caller's thread, before the own one runs
  void spawn(Task<void> task);
  void look_around();  // ten times a second
  Task<Result<void>> beat(Deadline deadline);
  Task<void> beat_once();
  void apply(const redis::Attendance& attendance, SteadyPoint sent, SteadyPoint answered);
  Task<void> send_overlooked(std::vector<GatewayId> gateways);
  Task<void> send_beacons(Deadline deadline);
  Task<void> send_superseded(std::vector<GatewayId> former, Connection connection, Epoch newer);
  Task<void> withdraw_records();
  Task<bool> strike_off();
  Task<void> say_goodbye(std::shared_ptr<std::promise<void>> said);
  void on_left(const GatewayId& gateway);
  void on_overlooked();
  void note_gap(std::string_view reason);
  void stop();

  redis::Client& client_;
  const redis::Keys keys_;
  const Options options_;
  Clock& clock_;
  Metrics& metrics_;
  const redis::Speaker speaker_;
  const std::string common_channel_;
  const std::string gateways_key_;
  std::shared_ptr<redis::DirectoryInbox> inbox_;

  // Redis' clock minus the steady clock, in microseconds, as of the last heartbeat.
  std::atomic<std::int64_t> server_offset_ = 0;
  std::atomic<std::uint64_t> last_epoch_ = 0;
  std::atomic<bool> gap_ = false;
  std::atomic<SteadyPoint> joined_at_ = SteadyPoint();

  mutable std::shared_mutex membership_mutex_;
  redis::Membership membership_;  // guarded by membership_mutex_

  std::mutex numbers_mutex_;
  redis::SentNumbers numbers_;  // guarded by numbers_mutex_

  struct Renewal {
    unsigned running = 0;
    bool closed = false;
  };
  struct StaleRecord {
    Connection connection;
    Epoch epoch;
  };
  std::mutex sessions_mutex_;
  std::map<std::pair<Connection, Epoch>, Renewal> renewals_;  // guarded by sessions_mutex_
  std::vector<StaleRecord> stale_records_;                    // guarded by sessions_mutex_

  // own thread only
  bool beating_ = false;
  bool beat_failed_ = false;
  bool beaconing_ = false;
  bool withdrawing_ = false;
  bool left_ = false;
  SteadyPoint next_beat_{};
  SteadyPoint next_beacons_{};
  SteadyPoint next_withdrawal_{};
  SteadyPoint next_gap_{};
  SteadyPoint next_refresh_{};

  TaskGroup tasks_;  // runs on thread_
  redis::TickingThread thread_;
  bool started_ = false;  // the owner's thread only
  bool leaving_ = false;  // the owner's thread only
};

}  // namespace mpr
