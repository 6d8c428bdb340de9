#include "app/configuration.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "app/config_file.hpp"

namespace mpr {

namespace {

// A value as somebody wrote it, before it is checked.
struct Written {
  Source source = Source::standard;
  std::string where;
  std::string text;
};

std::vector<std::string_view> option_names() {
  std::vector<std::string_view> names;
  for (const Option& option : options()) names.push_back(option.name);
  return names;
}

std::string did_you_mean(std::string_view mistyped, std::span<const std::string_view> known) {
  const auto near = nearest(mistyped, known);
  return near ? "; did you mean " + std::string(*near) + "?" : std::string();
}

Result<std::string> read_file(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return fail(Errc::invalid_argument, "is a directory");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Errc::unavailable, "cannot be read");
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

// Collects what flags, environment and file say, then checks it against the table.
class Reader {
 public:
  void read_flags(std::span<const std::string> flags);
  void read_environment(const Environment& environment);
  void read_config_file();
  Configuration finish();

 private:
  void note(const Option& option, Source source, std::string where, std::string text);
  void read_foreign(std::string_view name, const std::string& where);
  void read_file_entry(const ConfigFileEntry& entry, const std::string& where);
  void check(const Option& option);
  void read_token_file();
  void choose_backend();
  void check_push_urls();
  void check_together();
  std::string where_of(std::string_view name) const { return result_[name].where; }

  std::map<std::string_view, Written> written_;  // by option name
  Configuration result_;
};

void Reader::note(const Option& option, Source source, std::string where, std::string text) {
  Written& present = written_[option.name];
  if (present.source > source) return;  // a stronger source has spoken
  present = {source, std::move(where), std::move(text)};
}

void Reader::read_flags(std::span<const std::string> flags) {
  std::vector<std::string> names;
  for (const Option& option : options()) names.push_back(flag_of(option));
  const std::vector<std::string_view> known(names.begin(), names.end());
  for (std::size_t i = 0; i < flags.size(); ++i) {
    const std::string& word = flags[i];
    if (!word.starts_with("--")) {
      result_.problems.push_back("\"" + word + "\" is not expected here: options begin with --");
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      result_.problems.push_back("unknown flag " + name + did_you_mean(name, known));
      // A value that belongs to it would only be reported a second time.
      const bool value_follows = i + 1 < flags.size() && !flags[i + 1].starts_with("--");
      if (equals == std::string::npos && value_follows) ++i;
      continue;
    }
    const Option& option = options()[static_cast<std::size_t>(found - names.begin())];
    if (equals == std::string::npos && i + 1 == flags.size()) {
      result_.problems.push_back("flag " + name + " needs a value: " + expectation_of(option));
      continue;
    }
    note(option, Source::flag, "flag " + name,
         equals == std::string::npos ? flags[++i] : word.substr(equals + 1));
  }
}

void Reader::read_foreign(std::string_view name, const std::string& where) {
  if (std::ranges::find(foreign_names(), name) == foreign_names().end()) return;
  result_.warnings.push_back(std::string(name) + " (" + where +
                             ") has no effect: MPR_FCM_URL says where FCM is");
}

void Reader::read_environment(const Environment& environment) {
  const auto known = option_names();
  for (const auto& [name, value] : environment) {
    if (value.empty()) continue;
    if (const Option* option = find_option(name)) {
      note(*option, Source::environment, "environment", value);
    } else if (name.starts_with("MPR_")) {
      result_.warnings.push_back("unknown variable " + name + " (environment)" +
                                 did_you_mean(name, known));
    } else {
      read_foreign(name, "environment");
    }
  }
}

void Reader::read_file_entry(const ConfigFileEntry& entry, const std::string& where) {
  if (entry.value.empty()) return;
  const Option* option = find_option(entry.key);
  if (option == nullptr) {
    const auto& foreign = foreign_names();
    if (std::ranges::find(foreign, entry.key) != foreign.end()) {
      return read_foreign(entry.key, where);
    }
    const auto known = option_names();
    result_.warnings.push_back("unknown name " + entry.key + " (" + where + ")" +
                               did_you_mean(entry.key, known));
  } else if (option->name == "MPR_CONFIG_FILE") {
    result_.problems.push_back("MPR_CONFIG_FILE (" + where +
                               ") cannot stand in a configuration file");
  } else {
    note(*option, Source::file, where, entry.value);
  }
}

void Reader::read_config_file() {
  const auto chosen = written_.find("MPR_CONFIG_FILE");
  if (chosen == written_.end() || chosen->second.text.empty()) return;
  const std::filesystem::path path = chosen->second.text;
  const auto text = read_file(path);
  if (!text) {
    result_.problems.push_back("the configuration file " + path.string() + " (" +
                               chosen->second.where + ") " + text.error().context);
    return;
  }
  const ConfigFile file = parse_config_file(*text);
  const auto where = [&](std::size_t line) {
    return path.string() + " line " + std::to_string(line);
  };
  for (const std::size_t line : file.bad_lines) {
    result_.problems.push_back(where(line) + " is neither KEY=VALUE nor a # comment");
  }
  for (const ConfigFileEntry& entry : file.entries) read_file_entry(entry, where(entry.line));
}

void Reader::check(const Option& option) {
  const auto found = written_.find(option.name);
  Written written = found != written_.end()
                        ? found->second
                        : Written{Source::standard, "default", std::string(option.standard)};
  const auto value = parse_value(option, written.text);
  if (option.secret() && !written.text.empty()) {
    written.text = option.shown ? option.shown(written.text) : std::string(Secret::kShown);
  }
  result_.chosen.push_back({&option, written.source, written.where, written.text});
  if (value) {
    option.assign(result_.settings, *value);
    return;
  }
  std::string problem = std::string(option.name) + " (" + written.where + "): \"" + written.text +
                        "\" is not " + value.error().context;
  result_.problems.push_back(std::move(problem));
}

void Reader::read_token_file() {
  Settings& settings = result_.settings;
  if (settings.auth_token_file.empty()) return;
  const std::string name = "MPR_AUTH_TOKEN_FILE (" + where_of("MPR_AUTH_TOKEN_FILE") + ")";
  if (!settings.auth_token.empty()) {
    result_.problems.push_back(name + " and MPR_AUTH_TOKEN (" + where_of("MPR_AUTH_TOKEN") +
                               ") are both set: choose one");
    return;
  }
  const auto text = read_file(settings.auth_token_file);
  if (!text) {
    result_.problems.push_back(name + ": " + settings.auth_token_file.string() + " " +
                               text.error().context);
    return;
  }
  const std::size_t first = text->find_first_not_of(" \t\r\n");
  if (first == std::string::npos) {
    result_.problems.push_back(name + ": " + settings.auth_token_file.string() + " is empty");
    return;
  }
  const std::size_t last = text->find_last_not_of(" \t\r\n");
  settings.auth_token = Secret(text->substr(first, last - first + 1));
}

// What `auto` stands for, and whether the rest fits.
void Reader::choose_backend() {
  Settings& s = result_.settings;
  const auto problem = [&](std::string text) { result_.problems.push_back(std::move(text)); };
  const bool redis = !s.redis_url.empty() || !s.redis_nodes.empty();
  const bool asked = redis || s.redis_type != RedisType::automatic || !s.mongodb_uri.empty();
  if (s.backend == Backend::automatic) s.backend = asked ? Backend::redis : Backend::embedded;
  if (s.backend != Backend::redis) {
    if (asked) {
      result_.warnings.push_back("MPR_BACKEND (" + where_of("MPR_BACKEND") + ") is " +
                                 std::string(to_string(s.backend)) +
                                 ": the options of Redis and MongoDB have no effect");
    }
    if (s.durability != DurabilityMode::fast) {
      result_.warnings.push_back("MPR_DURABILITY (" + where_of("MPR_DURABILITY") + ") is " +
                                 std::string(to_string(s.durability)) +
                                 ", which has no effect: MPR_BACKEND is " +
                                 std::string(to_string(s.backend)) + ", without Redis and MongoDB");
    }
    return;
  }
  if (s.redis_type == RedisType::automatic) {
    s.redis_type = s.redis_nodes.empty() ? RedisType::single : RedisType::cluster;
  }
  if (!redis) {
    problem(
        "REDIS_URL or REDIS_NODES is needed: live sessions are kept in Redis whichever database "
        "the messages go to");
  } else if (s.redis_type == RedisType::single && s.redis_url.empty()) {
    problem("REDIS_TYPE (" + where_of("REDIS_TYPE") + ") is single: REDIS_URL is needed");
  }
  if (s.durability == DurabilityMode::durable && s.mongodb_uri.empty()) {
    problem("MPR_DURABILITY (" + where_of("MPR_DURABILITY") +
            ") is durable: MONGODB_URI is needed");
  }
}

// Without TLS only for what is near: tokens go there. APNs is HTTP/2, which TLS agrees upon.
void Reader::check_push_urls() {
  Settings& s = result_.settings;
  const auto trimmed = [](std::string url) {
    while (url.ends_with('/')) url.pop_back();
    return url;
  };
  const auto check = [&](std::string_view name, const std::string& url, bool plain_allowed) {
    if (url.empty() || url.starts_with("https://")) return;
    if (plain_allowed && url.starts_with("http://")) return;
    result_.problems.push_back(std::string(name) + " (" + where_of(name) + ") has to begin with " +
                               (plain_allowed ? "https:// or http://" : "https://"));
  };
  s.fcm_url = trimmed(std::move(s.fcm_url));
  s.apns_url = trimmed(std::move(s.apns_url));
  check("MPR_FCM_URL", s.fcm_url, true);
  check("MPR_APNS_URL", s.apns_url, false);
  check("MPR_WEBHOOK_URL", s.webhook_url.reveal(), true);
}

// Rules between options; each option alone has passed its own check.
void Reader::check_together() {
  const Settings& s = result_.settings;
  const auto problem = [&](std::string text) { result_.problems.push_back(std::move(text)); };
  if (s.ws_port == s.app_port && s.ws_port != 0) {
    problem("WS_PORT (" + where_of("WS_PORT") + ") and APP_PORT (" + where_of("APP_PORT") +
            ") are both " + std::to_string(s.ws_port) + ": they have to differ");
  }
  constexpr std::uint64_t kAround = 16 * 1024;  // members and recipients beside the payload
  if (s.max_message_bytes + kAround > s.max_frame_bytes) {
    problem("MPR_MAX_MESSAGE_BYTES (" + where_of("MPR_MAX_MESSAGE_BYTES") + ", " +
            readable_bytes(s.max_message_bytes) + ") does not fit into MPR_MAX_FRAME_BYTES (" +
            readable_bytes(s.max_frame_bytes) + "): a frame needs 16 KiB more than its payload");
  }
  if (s.max_message_bytes + 1024 * 1024 > s.segment_bytes && s.backend == Backend::embedded) {
    problem("MPR_MAX_MESSAGE_BYTES (" + readable_bytes(s.max_message_bytes) +
            ") does not fit into MPR_SEGMENT_BYTES (" + where_of("MPR_SEGMENT_BYTES") + ", " +
            readable_bytes(s.segment_bytes) +
            "): a segment needs 1 MiB more than the largest payload");
  }
  if (s.redis_prefix.find_first_of("{}") != std::string::npos) {
    problem("MPR_REDIS_PREFIX (" + where_of("MPR_REDIS_PREFIX") + ") is \"" + s.redis_prefix +
            "\": it must not hold { or }, which tell a Redis Cluster what belongs together");
  }
  if (s.dead_after <= s.ping_interval) {
    problem("MPR_DEAD_AFTER_MS (" + where_of("MPR_DEAD_AFTER_MS") + ", " +
            std::to_string(s.dead_after.count()) +
            ") has to be larger than MPR_PING_INTERVAL_MS (" +
            std::to_string(s.ping_interval.count()) + "): a ping needs time to be answered");
  }
}

Configuration Reader::finish() {
  for (const Option& option : options()) check(option);
  if (result_.problems.empty()) choose_backend();
  if (result_.problems.empty()) read_token_file();
  if (result_.problems.empty()) check_together();
  if (result_.problems.empty()) check_push_urls();
  return std::move(result_);
}

}  // namespace

const Chosen& Configuration::operator[](std::string_view name) const {
  return *std::ranges::find(chosen, name, [](const Chosen& c) { return c.option->name; });
}

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

Configuration configure(std::span<const std::string> flags, const Environment& environment) {
  Reader reader;
  reader.read_flags(flags);
  reader.read_environment(environment);
  reader.read_config_file();
  return reader.finish();
}

std::string summary_of_changes(const Configuration& configuration) {
  std::string out;
  for (const Chosen& chosen : configuration.chosen) {
    if (chosen.text == chosen.option->standard) continue;
    if (!out.empty()) out += ' ';
    out += chosen.option->name;
    out += '=';
    out += chosen.text;
  }
  return out;
}

}  // namespace mpr
