#include "store/redis/queue_patrol.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "store/redis/message_ids.hpp"

namespace mpr::redis {

namespace {

using std::chrono::milliseconds;

// A step costs Redis a fraction of a millisecond; with the pause behind it, about a hundredth of
// its time.
constexpr std::string_view kKeysOfStep = "200";
constexpr milliseconds kPause{10};
constexpr std::chrono::seconds kPatience{2};
// How often it is asked whose turn it is, at most and at least.
constexpr milliseconds kLongestWait{60'000};
constexpr milliseconds kShortestWait{10};

Deadline soon() { return Deadline::after(kPatience); }

// The pattern of the keys of queues; letters that mean something in patterns are taken as they are.
std::string pattern_of(const Keys& keys) {
  std::string pattern = "{";
  for (const char c : keys.prefix()) {
    if (std::string_view("*?[]^\\").contains(c)) pattern += '\\';
    pattern += c;
  }
  return pattern + ":p*}:q:*";
}

}  // namespace

QueuePatrol::QueuePatrol(Client& client, Keys keys, milliseconds interval)
    : client_(client), keys_(std::move(keys)), interval_(interval), thread_([this] { run(); }) {}

QueuePatrol::~QueuePatrol() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::optional<Connection> QueuePatrol::connection_of(const Keys& keys, std::string_view key) {
  constexpr std::string_view kPart = "}:q:";
  const std::size_t at = key.find(kPart);
  if (at == std::string_view::npos) return std::nullopt;
  auto connection = decode_connection(key.substr(at + kPart.size()));
  if (!connection || keys.queue(*connection) != key) return std::nullopt;
  return connection;
}

bool QueuePatrol::pause(milliseconds duration) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, duration, [this] { return stop_; });
}

void QueuePatrol::run() {
  const milliseconds wait = std::clamp(interval_ / 10, kShortestWait, kLongestWait);
  do {
    const auto mine = loop_.run(take_turn());
    if (mine && *mine) patrol();
  } while (pause(wait));
}

void QueuePatrol::patrol() {
  std::uint64_t entered = 0;
  const auto all = loop_.run(nodes());
  std::optional<Error> failed;
  if (!all) failed = all.error();
  for (std::size_t i = 0; !failed && i < all->size(); ++i) {
    std::string cursor = "0";
    do {
      auto seen = loop_.run(step((*all)[i], std::move(cursor)));
      if (!seen) {
        failed = std::move(seen).error();
        break;
      }
      cursor = std::move(seen->cursor);
      entered += seen->entered;
      if (!pause(kPause)) return;
    } while (cursor != "0");
  }
  if (entered > 0) {
    log::warn(
        "queues that no index named were found and entered: a gateway or a connection ended "
        "in the middle of an add",
        {{"queues", std::to_string(entered)}});
  }
  if (failed) {
    log::warn("the search for queues that no index names ended early; the next one follows",
              {{"reason", failed->context}});
  }
}

Task<Result<bool>> QueuePatrol::take_turn() {
  const std::string key = keys_.of_installation("patrol");
  const std::string duration = std::to_string(interval_.count());
  Request request(key);
  // A turn whose answer was lost is nobody's; there is another one.
  request.add({"SET", key, "1", "NX", "PX", duration});
  const auto answer = co_await client_.run_one(std::move(request), soon());
  if (!answer) co_return std::unexpected(answer.error().error);
  if (answer->is_error()) co_return std::unexpected(error_of(*answer));
  co_return !answer->is_null();
}

Task<Result<std::vector<std::string>>> QueuePatrol::nodes() {
  Request ping("");
  ping.add({"PING"}, Repeat::safe);
  const auto answers = co_await client_.run_everywhere(std::move(ping), soon());
  if (!answers) co_return std::unexpected(answers.error().error);
  std::vector<std::string> nodes;
  for (const Client::NodeAnswer& answer : *answers) nodes.push_back(answer.node);
  co_return nodes;
}

Task<Result<QueuePatrol::Step>> QueuePatrol::step(std::string node, std::string cursor) {
  Request scan("");
  scan.add({"SCAN", cursor, "MATCH", pattern_of(keys_), "COUNT", kKeysOfStep}, Repeat::safe);
  const auto scanned = co_await client_.run_on(std::move(node), std::move(scan), soon());
  if (!scanned) co_return std::unexpected(scanned.error().error);
  const Value& answer = scanned->front();
  if (answer.is_error()) co_return std::unexpected(error_of(answer));
  if (!answer.is_array() || answer.items.size() != 2) {
    co_return fail(Errc::internal, "Redis answered something unexpected to SCAN");
  }
  std::vector<Task<Outcome<Value>>> entering;
  for (const Value& key : answer.items[1].items) {
    const auto connection = connection_of(keys_, key.text);
    if (!connection) continue;
    const std::string due = keys_.of_partition("due", keys_.partition_of(*connection));
    Request request(due);
    // At the front: whoever looks at it there puts it where it belongs.
    request.add({"ZADD", due, "NX", "0", encode_connection(*connection)}, Repeat::safe);
    entering.push_back(client_.run_one(std::move(request), soon()));
  }
  Step done{answer.items[0].text};
  for (const auto& entered : co_await when_all(std::move(entering))) {
    if (!entered) co_return std::unexpected(entered.error().error);
    if (entered->is_error()) co_return std::unexpected(error_of(*entered));
    done.entered += static_cast<std::uint64_t>(entered->integer);
  }
  co_return done;
}

}  // namespace mpr::redis
