// What a directory does by itself: beats, beacons, gaps, and ending what was left half done.
#include <algorithm>
#include <charconv>
#include <future>
#include <thread>
#include <utility>

#include "base/log.hpp"
#include "base/run_loop.hpp"
#include "store/redis/installation.hpp"
#include "store/redis/redis_directory.hpp"
#include "store/redis/scripts.hpp"

namespace mpr {

using redis::Attendance;
using redis::Repeat;
using redis::Value;

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortDeadline{2'000};    // of everything but heartbeats
constexpr milliseconds kGoodbyeDeadline{1'000};  // of all of it
constexpr milliseconds kWithdrawalInterval{1'000};
constexpr milliseconds kLookInterval{100};  // at most
constexpr std::size_t kWithdrawalsAtOnce = 1'000;

// Says that a task runs, for as long as it does.
class Running {
 public:
  explicit Running(bool& flag) : flag_(flag) { flag_ = true; }
  ~Running() { flag_ = false; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  bool& flag_;
};

std::optional<std::int64_t> number_of(const Value& value) {
  if (value.is_integer()) return value.integer;
  std::int64_t number = 0;
  const char* const end = value.text.data() + value.text.size();
  const auto [at, error] = std::from_chars(value.text.data(), end, number);
  if (error != std::errc() || at != end) return std::nullopt;
  return number;
}

// One entry of heartbeat.lua's answer.
bool read_entry(const Value& entry, Attendance& attendance) {
  if (entry.items.size() != 3 || entry.items[0].text.size() < 2) return false;
  const std::string& name = entry.items[0].text;
  const auto time = number_of(entry.items[1]);
  const auto age = number_of(entry.items[2]);
  if (!time || !age) return false;
  GatewayId gateway(std::string_view(name).substr(1));
  if (name[0] == '+') {
    attendance.present.push_back(
        {std::move(gateway), static_cast<std::uint64_t>(*time), milliseconds(*age)});
  } else {
    attendance.departed.push_back({std::move(gateway), milliseconds(*age)});
  }
  return true;
}

Result<Attendance> attendance_of(const Value& answer) {
  const Error foreign{Errc::internal, "the answer to a heartbeat is not readable"};
  if (answer.is_error()) return std::unexpected(redis::error_of(answer));
  if (answer.items.size() < 2) return std::unexpected(foreign);
  Attendance attendance;
  const auto clock = number_of(answer.items[0]);
  if (!clock) return std::unexpected(foreign);
  attendance.server_microseconds = static_cast<std::uint64_t>(*clock);
  attendance.self_was_present = answer.items[1].integer == 1;
  for (std::size_t i = 2; i < answer.items.size(); ++i) {
    if (!read_entry(answer.items[i], attendance)) return std::unexpected(foreign);
  }
  return attendance;
}

// Else a gateway with another number of partitions would be let in.
Task<void> keep_installation(redis::Client& client, redis::Keys keys) {
  const auto was_gone =
      co_await redis::restore_installation(client, keys, Deadline::after(kShortDeadline));
  if (!was_gone || !*was_gone) co_return;
  log::warn(
      "Redis has lost its data while gateways run: messages and live sessions there are gone; what "
      "says how they are kept is written again",
      {{"prefix", keys.prefix()}});
}

}  // namespace

// --- start and end ------------------------------------------------------------------------------

Result<void> RedisDirectory::join(Deadline deadline) {
  const auto reached = RunLoop().run(client_.connect(deadline));
  if (!reached) return reached;
  using Channel = redis::DirectoryInbox::Channel;
  const std::pair<std::string, Channel> channels[] = {
      {keys_.gateway_channel(options_.self), Channel::own}, {common_channel_, Channel::common}};
  for (const auto& [name, channel] : channels) {
    client_.subscribe(
        name, [inbox = inbox_](std::string_view payload) { inbox->on_message(payload); },
        [inbox = inbox_, channel] { inbox->on_connected(channel); });
  }
  if (!inbox_->wait_connected(deadline.at)) {
    return fail(Errc::unavailable, "could not subscribe to channels in Redis in time");
  }
  joined_at_ = clock_.steady_now();
  const auto beaten = RunLoop().run(beat(deadline));
  if (!beaten) return beaten;
  const SteadyPoint now = clock_.steady_now();
  next_beat_ = now + options_.heartbeat_interval;
  next_beacons_ = now + options_.beacon_interval;
  next_withdrawal_ = now;
  next_refresh_ = now + options_.session_ttl / 4;
  thread_.start(std::min(kLookInterval, options_.heartbeat_interval / 6),
                [this] { look_around(); });
  started_ = true;
  return {};
}

void RedisDirectory::leave() {
  if (!started_ || leaving_) return;
  leaving_ = true;
  const auto said = std::make_shared<std::promise<void>>();
  thread_.run([this, said] {
    left_ = true;
    spawn(say_goodbye(said));
  });
  said->get_future().wait();  // it has a deadline
  inbox_->close();
}

Task<void> RedisDirectory::say_goodbye(std::shared_ptr<std::promise<void>> said) {
  const Deadline deadline = Deadline::after(kGoodbyeDeadline);
  co_await send_beacons(deadline);
  const auto gone = co_await client_.eval(redis::scripts::leave(), {gateways_key_},
                                          {options_.self.value}, Repeat::safe, deadline);
  const auto told = co_await say_to_everybody(redis::Left(), deadline);
  if (!gone || !told) {
    log::warn("could not tell other gateways that this one ends: they find out by its heartbeats");
  }
  said->set_value();
}

Task<bool> RedisDirectory::strike_off() {
  const auto gone =
      co_await client_.eval(redis::scripts::leave(), {gateways_key_}, {options_.self.value},
                            Repeat::safe, Deadline::after(kGoodbyeDeadline));
  co_return gone && !gone->is_error();
}

// All background work has deadlines: it ends by itself.
void RedisDirectory::stop() {
  if (!started_) return;
  while (tasks_.running() > 0) std::this_thread::sleep_for(milliseconds(1));
  thread_.stop();
}

void RedisDirectory::spawn(Task<void> task) { tasks_.spawn(std::move(task)); }

Result<void> RedisDirectory::ready() const {
  auto servers = client_.ready();
  if (!servers) return servers;
  std::optional<SteadyPoint> last;
  {
    std::shared_lock lock(membership_mutex_);
    last = membership_.last_beat();
  }
  const auto age = clock_.steady_now() - last.value_or(SteadyPoint());
  if (age < options_.dead_after) return {};
  return fail(Errc::unavailable,
              "Redis has not answered a heartbeat of this gateway for " +
                  std::to_string(std::chrono::duration_cast<std::chrono::seconds>(age).count()) +
                  " s: other gateways may take it for dead");
}

// --- what happens from time to time ------------------------------------------------------------

void RedisDirectory::look_around() {
  if (left_) return;
  const SteadyPoint now = clock_.steady_now();
  if (!beating_ && now >= next_beat_) spawn(beat_once());
  if (!beaconing_ && now >= next_beacons_) {
    next_beacons_ = now + options_.beacon_interval;
    spawn(send_beacons(Deadline::after(kShortDeadline)));
  }
  if (!withdrawing_ && now >= next_withdrawal_) {
    next_withdrawal_ = now + kWithdrawalInterval;
    spawn(withdraw_records());
  }
  if (now >= next_refresh_) {
    next_refresh_ = now + options_.session_ttl / 4;
    note_gap("session records have to be renewed");
  }
  if (inbox_->lost()) note_gap("announcements may have been lost");
  if (now >= next_gap_ && gap_.exchange(false)) {
    next_gap_ = now + options_.gap_interval;
    metrics_.directory_gaps.add();
    inbox_->tell([](LiveDirectoryListener& listener) { listener.on_gap(); });
  }
}

void RedisDirectory::note_gap(std::string_view reason) {
  if (!gap_.exchange(true)) {
    log::debug("every live session looks into its queue", {{"reason", reason}});
  }
}

Task<Result<void>> RedisDirectory::beat(Deadline deadline) {
  std::vector<std::string> arguments = {options_.self.value,
                                        std::to_string(options_.orphan_grace.count())};
  {
    std::shared_lock lock(membership_mutex_);
    for (const auto& [gateway, beat] : membership_.to_prune()) {
      arguments.push_back(gateway.value);
      arguments.push_back(std::to_string(beat));
    }
  }
  const SteadyPoint sent = clock_.steady_now();
  const auto value = co_await client_.eval(redis::scripts::heartbeat(), {gateways_key_},
                                           std::move(arguments), Repeat::safe, deadline);
  if (!value) co_return std::unexpected(value.error().error);
  const auto attendance = attendance_of(*value);
  if (!attendance) co_return std::unexpected(attendance.error());
  apply(*attendance, sent, clock_.steady_now());
  co_return Result<void>();
}

Task<void> RedisDirectory::beat_once() {
  const Running running(beating_);
  const SteadyPoint begun = clock_.steady_now();
  // A quarter of the time that an outage may last without consequences.
  const auto beaten = co_await beat(Deadline::after(options_.dead_after / 8));
  // It may have been sent a second time, after the goodbye.
  if (left_) co_await strike_off();
  if (beaten && !left_) co_await keep_installation(client_, keys_);
  if (beaten) {
    next_beat_ = begun + options_.heartbeat_interval;
    if (beat_failed_) log::info("heartbeats of this gateway are answered again");
  } else {
    next_beat_ = clock_.steady_now() + options_.heartbeat_interval / 6;
    if (!beat_failed_) {
      log::warn("a heartbeat of this gateway was not answered",
                {{"reason", beaten.error().context}});
    }
  }
  beat_failed_ = !beaten;
}

void RedisDirectory::apply(const Attendance& attendance, SteadyPoint sent, SteadyPoint answered) {
  const auto middle = std::chrono::duration_cast<std::chrono::microseconds>(
      (sent + (answered - sent) / 2).time_since_epoch());
  server_offset_ = static_cast<std::int64_t>(attendance.server_microseconds) - middle.count();
  redis::Membership::Changes changes;
  {
    std::unique_lock lock(membership_mutex_);
    changes = membership_.on_beat(attendance, sent, answered);
    metrics_.gateways_alive.set(static_cast<std::int64_t>(membership_.alive()));
  }
  if (changes.was_away) {
    log::warn("this gateway was without heartbeats for so long that others may take it for dead");
    joined_at_ =
        answered - options_.dead_after;  // believe them if they say so, see on_overlooked()
    note_gap("this gateway was away");
  }
  for (const GatewayId& gateway : changes.died) {
    log::warn("a gateway ended or stopped beating: its live sessions are lost",
              {{"gateway", gateway.value}});
    inbox_->forget(gateway);
    std::lock_guard lock(numbers_mutex_);
    numbers_.doubt(gateway);
  }
  if (!changes.died.empty()) note_gap("a gateway died");
  if (!changes.appeared.empty()) spawn(send_overlooked(std::move(changes.appeared)));
}

void RedisDirectory::on_left(const GatewayId& gateway) {
  bool was_alive = false;
  {
    std::unique_lock lock(membership_mutex_);
    was_alive = membership_.on_left(gateway, clock_.steady_now());
    metrics_.gateways_alive.set(static_cast<std::int64_t>(membership_.alive()));
  }
  if (!was_alive) return;
  log::info("a gateway left", {{"gateway", gateway.value}});
  inbox_->forget(gateway);
  {
    std::lock_guard lock(numbers_mutex_);
    numbers_.doubt(gateway);
  }
  note_gap("a gateway left");
}

// One that returns looks into its queues at once, which is too early for what was added here before
// this gateway knew that it lives.
Task<void> RedisDirectory::send_overlooked(std::vector<GatewayId> gateways) {
  const Deadline deadline = Deadline::after(kShortDeadline);
  for (const GatewayId& gateway : gateways) {
    redis::Overlooked content;
    {
      std::lock_guard lock(numbers_mutex_);
      content.number = numbers_.next(gateway);
    }
    // If it is lost, its number is missed there.
    co_await client_.publish(keys_.gateway_channel(gateway), encode(content), deadline);
  }
}

void RedisDirectory::on_overlooked() {
  // Nobody takes a gateway for dead sooner: it is new, and so are its sessions.
  if (clock_.steady_now() - joined_at_.load() < options_.dead_after) return;
  note_gap("another gateway took this one for dead");
}

Task<void> RedisDirectory::send_beacons(Deadline deadline) {
  const Running running(beaconing_);
  std::vector<redis::SentNumbers::Due> due;
  {
    std::lock_guard lock(numbers_mutex_);
    due = numbers_.due();
  }
  for (const auto& [receiver, last] : due) {
    const auto heard = co_await client_.publish(keys_.gateway_channel(receiver),
                                                encode(redis::Beacon{last}), deadline);
    if (!heard) break;  // again at the next turn
    std::lock_guard lock(numbers_mutex_);
    if (*heard > 0) {
      numbers_.beaconed(receiver, last);
    } else {
      numbers_.forget(receiver);
    }
  }
}

// --- sessions -----------------------------------------------------------------------------------

void RedisDirectory::tell_superseded(std::vector<GatewayId> former, Connection connection,
                                     Epoch newer) {
  thread_.run(
      [this, former = std::move(former), connection = std::move(connection), newer]() mutable {
        spawn(send_superseded(std::move(former), std::move(connection), newer));
      });
}

// A gateway without a name stands for all others.
Task<void> RedisDirectory::send_superseded(std::vector<GatewayId> former, Connection connection,
                                           Epoch newer) {
  const Deadline deadline = Deadline::after(kShortDeadline);
  for (const GatewayId& gateway : former) {
    redis::Superseded content{0, connection, newer};
    std::string channel = common_channel_;
    if (!gateway.empty()) {
      channel = keys_.gateway_channel(gateway);
      std::lock_guard lock(numbers_mutex_);
      content.number = numbers_.next(gateway);
    }
    // If it is lost, its number is missed there.
    co_await client_.publish(std::move(channel), encode(std::move(content)), deadline);
  }
}

// Takes away records of which nobody knows whether they were written. If one was there, whoever
// held the session before has lost it to that record.
Task<void> RedisDirectory::withdraw_records() {
  const Running running(withdrawing_);
  std::vector<StaleRecord> batch;
  {
    std::lock_guard lock(sessions_mutex_);
    const std::size_t size = std::min(stale_records_.size(), kWithdrawalsAtOnce);
    const auto middle = stale_records_.begin() + static_cast<std::ptrdiff_t>(size);
    batch.assign(std::make_move_iterator(stale_records_.begin()), std::make_move_iterator(middle));
    stale_records_.erase(stale_records_.begin(), middle);
  }
  const Deadline deadline = Deadline::after(kShortDeadline);
  for (StaleRecord& stale : batch) {
    const auto deleted = co_await delete_record(stale.connection, stale.epoch, deadline);
    if (!deleted) {
      withdraw_later(std::move(stale.connection), stale.epoch);
    } else if (*deleted) {
      inbox_->tell([&](LiveDirectoryListener& listener) {
        listener.on_superseded(stale.connection, stale.epoch);
      });
      co_await send_superseded({GatewayId()}, std::move(stale.connection), stale.epoch);
    }
  }
}

}  // namespace mpr
