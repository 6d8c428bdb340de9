#include "store/redis/server_checks.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace mpr::redis {

namespace {

using Severity = ServerFinding::Severity;

// The value of "name:value" in the answer to INFO; empty: not there.
std::string_view info_field(std::string_view info, std::string_view name) {
  for (std::size_t begin = 0; begin < info.size();) {
    const std::size_t end = std::min(info.find_first_of("\r\n", begin), info.size());
    const std::string_view line = info.substr(begin, end - begin);
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':') {
      return line.substr(name.size() + 1);
    }
    begin = end + 1;
  }
  return {};
}

// Two leading numbers of "7.0.15" as 700.
unsigned version_number(std::string_view text) {
  unsigned major = 0;
  unsigned minor = 0;
  const auto [dot, error] = std::from_chars(text.data(), text.data() + text.size(), major);
  if (error == std::errc{} && dot != text.data() + text.size()) {
    std::from_chars(dot + 1, text.data() + text.size(), minor);
  }
  return major * 100 + minor;
}

std::string setting(const std::string& configured, std::string_view info, std::string_view name) {
  return configured.empty() ? std::string(info_field(info, name)) : configured;
}

// One server's findings, with its name in front.
class Examination {
 public:
  Examination(const ServerSettings& settings, ServerReport& report)
      : settings_(settings), report_(report) {}

  void find(Severity severity, std::string_view sentence) {
    report_.findings.push_back(
        {severity, "Redis server " + settings_.node + ": " + std::string(sentence)});
  }

  // What answers here at first, and fails later for a part of all calls or for every write.
  void place(ClientOptions::Mode mode) {
    if (mode == ClientOptions::Mode::single &&
        info_field(settings_.info, "cluster_enabled") == "1") {
      find(Severity::error,
           "it is a node of a Redis Cluster and serves a part of all keys only: set "
           "REDIS_TYPE=cluster");
    }
    if (is_replica()) {
      find(Severity::error, "it is a replica of " + primary() +
                                ", which takes no messages: REDIS_URL has to name the primary");
    }
  }

  void version() {
    const std::string_view valkey = info_field(settings_.info, "valkey_version");
    const std::string_view number =
        valkey.empty() ? info_field(settings_.info, "redis_version") : valkey;
    const std::string name = (valkey.empty() ? "Redis " : "Valkey ") + std::string(number);
    if (std::find(report_.versions.begin(), report_.versions.end(), name) ==
        report_.versions.end()) {
      report_.versions.push_back(name);
    }
    if (number.empty()) {
      find(Severity::warning, "it does not tell its version; Redis 7.0 or Valkey is needed");
    } else if (version_number(number) < 700U) {
      find(Severity::error, "it is " + name +
                                ", but Redis 7.0 (sharded pub/sub, script flags) or Valkey is "
                                "needed: upgrade it");
    }
  }

  void eviction() {
    const std::string policy =
        setting(settings_.maxmemory_policy, settings_.info, "maxmemory_policy");
    if (policy.empty()) {
      find(Severity::warning,
           "it does not tell its maxmemory-policy; make sure that it is "
           "noeviction, or messages are lost when memory runs short");
    } else if (policy != "noeviction") {
      find(Severity::error, "its maxmemory-policy is " + policy +
                                ", which throws messages away when memory runs short: run CONFIG "
                                "SET maxmemory-policy noeviction and write it into redis.conf");
    }
    const std::string maxmemory = setting(settings_.maxmemory, settings_.info, "maxmemory");
    if (maxmemory == "0") {
      find(Severity::warning,
           "its maxmemory is not set, so it grows until the system ends it: set "
           "it to what the machine can spare, and MPR answers when it is full");
    }
  }

  void persistence(Durability durability) {
    const std::string aof =
        setting(settings_.appendonly, settings_.info, "aof_enabled");  // yes/no or 1/0
    const bool on = aof == "yes" || aof == "1";
    if (aof.empty()) {
      find(Severity::warning, "it does not tell whether it has an append-only file");
    } else if (!on && durability == Durability::replicated) {
      find(Severity::error,
           "it keeps no append-only file, which the durability \"replicated\" "
           "needs: run CONFIG SET appendonly yes and write it into redis.conf");
    } else if (!on) {
      find(Severity::warning,
           settings_.config_forbidden || !settings_.save.empty()
               ? "it keeps no append-only file: after a crash, messages since its last snapshot "
                 "are lost (appendonly yes keeps all but the last second)"
               : "it keeps nothing on disk: after a restart all messages are lost (appendonly yes "
                 "keeps all but the last second)");
    }
    if (info_field(settings_.info, "aof_last_write_status") == "err") {
      find(Severity::error, "it cannot write its append-only file: look at its log and its disk");
    }
    if (info_field(settings_.info, "rdb_last_bgsave_status") == "err") {
      find(Severity::warning,
           "its last snapshot failed, and it may refuse writes for that: look "
           "at its log and its disk");
    }
  }

  void replication(Durability durability) {
    std::size_t replicas = 0;
    const std::string_view text = info_field(settings_.info, "connected_slaves");
    std::from_chars(text.data(), text.data() + text.size(), replicas);
    report_.replicas += replicas;
    report_.primaries += is_replica() ? 0 : 1;
    if (replicas == 0 && durability == Durability::replicated) {
      find(Severity::error,
           "no replica is connected, which the durability \"replicated\" needs: "
           "every add would fail");
    }
  }

 private:
  bool is_replica() const { return info_field(settings_.info, "role") == "slave"; }
  std::string primary() const {
    return std::string(info_field(settings_.info, "master_host")) + ":" +
           std::string(info_field(settings_.info, "master_port"));
  }

  const ServerSettings& settings_;
  ServerReport& report_;
};

// "name", "value" of CONFIG GET.
void take_config(const Value& answer, ServerSettings& settings) {
  if (answer.is_error()) {
    settings.config_forbidden = true;
    return;
  }
  for (std::size_t i = 0; i + 1 < answer.items.size(); i += 2) {
    const std::string& name = answer.items[i].text;
    const std::string& value = answer.items[i + 1].text;
    if (name == "maxmemory-policy") settings.maxmemory_policy = value;
    if (name == "maxmemory") settings.maxmemory = value;
    if (name == "appendonly") settings.appendonly = value;
    if (name == "save") settings.save = value;
  }
}

}  // namespace

bool ServerReport::fit() const {
  return std::none_of(findings.begin(), findings.end(), [](const ServerFinding& finding) {
    return finding.severity == Severity::error;
  });
}

void examine_server(const ServerSettings& settings, ClientOptions::Mode mode, Durability durability,
                    ServerReport& report) {
  report.mode = mode == ClientOptions::Mode::cluster ? "cluster" : "single server";
  Examination examination(settings, report);
  examination.place(mode);
  examination.version();
  examination.eviction();
  examination.persistence(durability);
  examination.replication(durability);
  if (settings.config_forbidden) {
    examination.find(Severity::note,
                     "it does not let MPR read its configuration, as managed services do; what is "
                     "said of it comes from INFO");
  }
}

Task<Result<ServerReport>> examine_servers(Client& client, Durability durability,
                                           Deadline deadline) {
  Request request("");
  request.add({"INFO"}, Repeat::safe);
  for (const std::string_view name : {"maxmemory-policy", "maxmemory", "appendonly", "save"}) {
    request.add({"CONFIG", "GET", name}, Repeat::safe);
  }
  auto answers = co_await client.run_everywhere(std::move(request), deadline);
  if (!answers) co_return std::unexpected(std::move(answers).error().error);
  ServerReport report;
  for (Client::NodeAnswer& answer : *answers) {
    if (!answer.values) co_return std::unexpected(answer.values.error().error);
    const std::vector<Value>& values = *answer.values;
    if (values[0].is_error()) {
      co_return fail(Errc::unavailable,
                     "Redis server " + answer.node + " does not answer INFO: " + values[0].text);
    }
    ServerSettings settings;
    settings.node = answer.node;
    settings.info = values[0].text;
    for (std::size_t i = 1; i < values.size(); ++i) take_config(values[i], settings);
    examine_server(settings, client.mode(), durability, report);
  }
  std::sort(report.versions.begin(), report.versions.end());
  co_return report;
}

}  // namespace mpr::redis
