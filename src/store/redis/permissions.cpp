#include "store/redis/permissions.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "store/redis/keys.hpp"

namespace mpr::redis {

namespace {

// ARGV: a key of a connection, a key of the installation, a channel, then commands, in which K, I
// and C stand for these. Answer: the names of those that the user may not run.
constexpr std::string_view kProbe = R"(
local places = {K = ARGV[1], I = ARGV[2], C = ARGV[3]}
local refused = {}
for i = 4, #ARGV do
  local words = {}
  for word in string.gmatch(ARGV[i], '%S+') do words[#words + 1] = places[word] or word end
  if not redis.acl_check_cmd(unpack(words)) then refused[#refused + 1] = words[1] end
end
return refused
)";

// Whole commands, because the server looks for their keys.
constexpr auto kOfConnection = std::to_array<std::string_view>(
    {"EVALSHA 0 1 K",  "GET K",        "SET K v",      "DEL K",
     "EXISTS K",       "PEXPIRE K 1",  "PERSIST K",    "PTTL K",
     "INCR K",         "INCRBY K 1",   "DECRBY K 1",   "HGET K f",
     "HSET K f v",     "HSETNX K f v", "HDEL K f",     "HGETALL K",
     "HKEYS K",        "HLEN K",       "XADD K * f v", "XDEL K 0-1",
     "XINFO STREAM K", "XLEN K",       "XRANGE K - +", "XREVRANGE K + -",
     "ZADD K 0 m",     "ZCARD K",      "ZCOUNT K 0 1", "ZRANGE K 0 1",
     "ZREM K m",       "ZSCORE K m",   "TIME"});
constexpr auto kOfInstallation =
    std::to_array<std::string_view>({"EVALSHA 0 1 I", "HSETNX I f v", "HMGET I f", "ZADD I 0 m",
                                     "ZRANGE I 0 1", "ZREM I m", "ZSCORE I m", "SET I v"});
constexpr auto kOfSingle = std::to_array<std::string_view>({"SUBSCRIBE C", "PUBLISH C m"});
constexpr auto kOfCluster = std::to_array<std::string_view>({"SSUBSCRIBE C", "SPUBLISH C m"});

Request probe_request(const Client& client, const std::string& prefix, Durability durability) {
  const Keys keys(prefix, Keys::kDefaultPartitions);
  std::vector<std::string> words = {"EVAL",
                                    std::string(kProbe),
                                    "0",
                                    keys.of_partition("q", 0),
                                    keys.of_installation("meta"),
                                    keys.of_installation("everyone")};
  const auto append = [&words](const auto& commands) {
    words.insert(words.end(), commands.begin(), commands.end());
  };
  append(kOfConnection);
  append(kOfInstallation);
  if (client.mode() == ClientOptions::Mode::cluster) {
    append(kOfCluster);
  } else {
    append(kOfSingle);
  }
  if (durability == Durability::replicated) words.emplace_back("WAIT 1 1");
  Request request("");
  request.add(words, Repeat::safe);
  return request;
}

// "GET, SET and 5 more", each once.
std::string names_of(const std::vector<Value>& refused) {
  constexpr std::size_t kShown = 6;
  std::vector<std::string_view> names;
  for (const Value& value : refused) {
    if (std::find(names.begin(), names.end(), value.text) == names.end()) {
      names.emplace_back(value.text);
    }
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    text += (i > 0 ? ", " : "") + std::string(names[i]);
  }
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

std::string sentence_of(const std::string& node, const std::string& prefix,
                        const std::string& what) {
  return "Redis server " + node + ": MPR's user may not run " + what +
         ": it needs scripts and all commands on keys that begin with {" + prefix + ": or " +
         prefix + ":, and on channels that begin with " + prefix + ": (ACL: ~{" + prefix + ":* ~" +
         prefix + ":* &" + prefix + ":* +@all)";
}

}  // namespace

Task<Result<std::vector<ServerFinding>>> examine_permissions(Client& client, std::string prefix,
                                                             Durability durability,
                                                             Deadline deadline) {
  auto request = probe_request(client, prefix, durability);
  const auto answers = co_await client.run_everywhere(std::move(request), deadline);
  if (!answers) co_return std::unexpected(answers.error().error);
  std::vector<ServerFinding> findings;
  for (const Client::NodeAnswer& answer : *answers) {
    if (!answer.values) co_return std::unexpected(answer.values.error().error);
    const Value& value = answer.values->front();
    std::string what;
    if (value.is_error()) {
      // Of another error nothing follows: a service may know no such question.
      if (value.text.starts_with("NOPERM")) what = "EVAL";
    } else {
      what = names_of(value.items);
    }
    if (what.empty()) continue;
    findings.push_back({ServerFinding::Severity::error, sentence_of(answer.node, prefix, what)});
  }
  co_return findings;
}

}  // namespace mpr::redis
