#include "store/redis/old_queues.hpp"

#include <algorithm>
#include <utility>

#include "store/redis/scripts.hpp"

namespace mpr {

namespace {

constexpr std::string_view kBegin = "connectionId:";
constexpr std::string_view kEnd = ":queuemessages";
constexpr std::string_view kScanStep = "1000";
constexpr std::size_t kMeasuredAtOnce = 500;

std::unexpected<Error> failure(const redis::Failure& f) { return std::unexpected(f.error); }

}  // namespace

std::optional<ConnectionId> OldQueues::connection_of(std::string_view key) {
  if (!key.starts_with(kBegin) || !key.ends_with(kEnd)) return std::nullopt;
  if (key.size() <= kBegin.size() + kEnd.size()) return std::nullopt;
  key.remove_prefix(kBegin.size());
  key.remove_suffix(kEnd.size());
  return ConnectionId(key);
}

std::string OldQueues::aside_key(std::string_view key, Fate fate) {
  const std::string_view suffix = fate == Fate::taken_over ? ":taken-over" : ":unreadable";
  // A key that has a hash tag keeps it; else all of the key becomes the tag.
  const std::size_t open = key.find('{');
  const std::size_t close = open == std::string_view::npos ? open : key.find('}', open + 1);
  const bool tagged = close != std::string_view::npos && close > open + 1;
  if (tagged) return std::string(key) + std::string(suffix);
  return "{" + std::string(key) + "}" + std::string(suffix);
}

std::string OldQueues::shown(std::string_view key) {
  constexpr std::size_t kMost = 80;
  constexpr std::size_t kTail = 20;
  std::string text(key);
  if (text.size() > kMost) {
    text = text.substr(0, kMost - kTail) + "..." + text.substr(text.size() - kTail) + " (" +
           std::to_string(text.size()) + " bytes)";
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return text;
}

Task<Result<OldQueues::Found>> OldQueues::find(Deadline deadline) {
  redis::Request ping("");
  ping.add({"PING"}, redis::Repeat::safe);
  const auto nodes = co_await client_.run_everywhere(std::move(ping), deadline);
  if (!nodes) co_return failure(nodes.error());
  std::vector<std::string> keys;
  for (const auto& node : *nodes) {
    auto scanned = co_await scan(node.node, keys, deadline);
    if (!scanned) co_return std::unexpected(std::move(scanned).error());
  }
  // SCAN may name a key twice.
  std::ranges::sort(keys);
  const auto doubles = std::ranges::unique(keys);
  keys.erase(doubles.begin(), doubles.end());
  Found found;
  auto measured = co_await measure(std::move(keys), found, deadline);
  if (!measured) co_return std::unexpected(std::move(measured).error());
  co_return found;
}

Task<Result<void>> OldQueues::scan(std::string node, std::vector<std::string>& keys,
                                   Deadline deadline) {
  const std::string pattern = std::string(kBegin) + "*" + std::string(kEnd);
  std::string cursor = "0";
  do {
    redis::Request request("");
    request.add({"SCAN", cursor, "MATCH", pattern, "COUNT", kScanStep}, redis::Repeat::safe);
    const auto answers = co_await client_.run_on(node, std::move(request), deadline);
    if (!answers) co_return failure(answers.error());
    const redis::Value& answer = answers->front();
    if (answer.is_error()) co_return std::unexpected(redis::error_of(answer));
    if (!answer.is_array() || answer.items.size() != 2) {
      co_return fail(Errc::internal, "Redis answered something unexpected to SCAN");
    }
    cursor = answer.items[0].text;
    for (const redis::Value& key : answer.items[1].items) keys.push_back(key.text);
  } while (cursor != "0");
  co_return Result<void>();
}

Task<Result<void>> OldQueues::measure(std::vector<std::string> keys, Found& found,
                                      Deadline deadline) {
  for (std::size_t begin = 0; begin < keys.size(); begin += kMeasuredAtOnce) {
    const std::size_t end = std::min(keys.size(), begin + kMeasuredAtOnce);
    std::vector<Task<redis::Outcome<redis::Value>>> lengths;
    for (std::size_t i = begin; i < end; ++i) {
      redis::Request request(keys[i]);
      request.add({"LLEN", keys[i]}, redis::Repeat::safe);
      lengths.push_back(client_.run_one(std::move(request), deadline));
    }
    const auto answers = co_await when_all(std::move(lengths));
    for (std::size_t i = begin; i < end; ++i) {
      const auto& answer = answers[i - begin];
      if (!answer) co_return failure(answer.error());
      auto connection = connection_of(keys[i]);
      if (answer->is_error() && answer->text.starts_with("WRONGTYPE")) {
        found.foreign.push_back(shown(keys[i]) + " is not a list");
      } else if (answer->is_error()) {
        co_return std::unexpected(redis::error_of(*answer));
      } else if (!connection) {
        found.foreign.push_back(shown(keys[i]) + " names no connection");
      } else {
        found.queues.push_back(
            {keys[i], std::move(*connection), static_cast<std::uint64_t>(answer->integer)});
      }
    }
  }
  co_return Result<void>();
}

Task<Result<std::vector<std::string>>> OldQueues::head(Queue queue, std::size_t most,
                                                       Deadline deadline) {
  redis::Request request(queue.key);
  request.add({"LRANGE", queue.key, "0", std::to_string(most - 1)}, redis::Repeat::safe);
  auto answer = co_await client_.run_one(std::move(request), deadline);
  if (!answer) co_return failure(answer.error());
  if (answer->is_error()) co_return std::unexpected(redis::error_of(*answer));
  std::vector<std::string> elements;
  for (redis::Value& item : answer->items) elements.push_back(std::move(item.text));
  co_return elements;
}

Task<Result<bool>> OldQueues::set_aside(Queue queue, std::string element, Fate fate,
                                        Deadline deadline) {
  std::vector<std::string> keys = {queue.key, aside_key(queue.key, fate)};
  std::vector<std::string> arguments = {std::move(element)};
  const auto answer = co_await client_.eval(redis::scripts::set_old_aside(), std::move(keys),
                                            std::move(arguments), redis::Repeat::never, deadline);
  if (!answer) co_return failure(answer.error());
  if (answer->is_error()) co_return std::unexpected(redis::error_of(*answer));
  co_return answer->integer == 1;
}

}  // namespace mpr
