#include "tools/bench/options.hpp"

#include <algorithm>
#include <array>
#include <variant>

#include "tools/bench/request_text.hpp"

namespace mpr::bench {
namespace {

struct Number {
  std::uint64_t Options::* member;
  std::uint64_t least;
  std::uint64_t most;
};
struct Text {
  std::string Options::* member;
};
struct Flag {
  bool Options::* member;
};
struct BackendName {};
struct ProcessId {};

struct Row {
  std::string_view name;
  std::variant<Number, Text, Flag, BackendName, ProcessId> kind;
  std::string_view help;
};

constexpr std::array kRows = {
    Row{"url", Text{&Options::url}, "the gateway to load; loopback only, see --allow-remote"},
    Row{"receiver-url", Text{&Options::receiver_url},
        "cycle, client, latency: another gateway of the same installation, for the receivers"},
    Row{"start", Flag{&Options::start},
        "start an own `mpr serve` on free ports with a temporary data directory, stop it after"},
    Row{"backend", BackendName{}, "with --start: embedded or memory"},
    Row{"server-pid", ProcessId{},
        "read CPU time and memory of this process; --start knows its own"},
    Row{"allow-remote", Flag{&Options::allow_remote}, "accept a --url that is not loopback"},
    Row{"seconds", Number{&Options::seconds, 1, 3600}, "length of the measured part"},
    Row{"warmup", Number{&Options::warmup_seconds, 0, 600}, "seconds before it that do not count"},
    Row{"runs", Number{&Options::runs, 1, 100}, "repeat, and report the median run of each figure"},
    Row{"sockets", Number{&Options::sockets, 1, 1000},
        "add, sessions: sockets; cycle, client, latency: as many senders and as many receivers"},
    Row{"in-flight", Number{&Options::in_flight, 1, 65536},
        "calls not yet answered, over all sockets"},
    Row{"bytes", Number{&Options::bytes, 100, 8 << 20}, "size of each payload"},
    Row{"connections", Number{&Options::connections, 1, 10'000'000}, "queues used in turn"},
    Row{"rate", Number{&Options::rate, 1, 100'000}, "latency: messages per second"},
    Row{"sessions", Number{&Options::sessions, 1000, 10'000'000}, "sessions: how many to open"},
    Row{"depth", Number{&Options::depth, 10, 10'000'000}, "depth: messages in the queue"},
    Row{"idle-sockets", Number{&Options::idle_sockets, 1, 100'000}, "idle: sockets to hold open"},
    Row{"json", Text{&Options::json_file}, "write the figures as JSON to this file, - for stdout"},
};

const Row* find_row(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

// What one argument did wrong; empty: nothing.
std::string apply(const Row& row, std::string_view value, Options& options) {
  const std::string flag = "--" + std::string(row.name);
  if (const auto* number = std::get_if<Number>(&row.kind)) {
    const auto parsed = parse_digits(value);
    if (!parsed || *parsed < number->least || *parsed > number->most) {
      return flag + ": must be a whole number from " + std::to_string(number->least) + " to " +
             std::to_string(number->most) + ", not \"" + std::string(value) + "\"";
    }
    options.*number->member = *parsed;
  } else if (const auto* text = std::get_if<Text>(&row.kind)) {
    options.*text->member = value;
  } else if (std::holds_alternative<BackendName>(row.kind)) {
    if (value != "embedded" && value != "memory") {
      return flag + ": must be embedded or memory, not \"" + std::string(value) + "\"";
    }
    options.backend = value == "memory" ? Backend::memory : Backend::embedded;
  } else if (std::holds_alternative<ProcessId>(row.kind)) {
    options.server_pid = parse_digits(value);
    if (!options.server_pid) return flag + ": must be a process id";
  }
  return {};
}

// The argument at `index` and the value behind it; leaves `index` at the last one used.
std::string read_argument(std::span<const std::string> args, std::size_t& index, Options& options) {
  const std::string_view arg = args[index];
  if (!arg.starts_with("--")) {
    if (!options.scenario.empty()) return "more than one scenario: " + std::string(arg);
    options.scenario = arg;
    return {};
  }
  const std::size_t equals = arg.find('=');
  const bool joined = equals != std::string_view::npos;
  const std::string_view name = joined ? arg.substr(2, equals - 2) : arg.substr(2);
  const Row* row = find_row(name);
  if (row == nullptr) return "unknown option --" + std::string(name);
  if (const auto* flag = std::get_if<Flag>(&row->kind)) {
    if (joined) return "--" + std::string(name) + " takes no value";
    options.*flag->member = true;
    return {};
  }
  if (joined) return apply(*row, arg.substr(equals + 1), options);
  if (index + 1 == args.size()) return "--" + std::string(name) + ": the value is missing";
  return apply(*row, args[++index], options);
}

std::string bounds_of(const Row& row, const Options& defaults) {
  if (const auto* number = std::get_if<Number>(&row.kind)) {
    return " [" + std::to_string(defaults.*number->member) + "; " + std::to_string(number->least) +
           " to " + std::to_string(number->most) + "]";
  }
  if (const auto* text = std::get_if<Text>(&row.kind)) {
    const std::string& value = defaults.*text->member;
    return value.empty() ? "" : " [" + value + "]";
  }
  return std::holds_alternative<BackendName>(row.kind) ? " [embedded]" : "";
}

}  // namespace

std::string_view to_string(Backend backend) noexcept {
  return backend == Backend::memory ? "memory" : "embedded";
}

Result<Options> parse_options(std::span<const std::string> args) {
  Options options;
  std::string problems;
  for (std::size_t index = 0; index < args.size(); ++index) {
    const std::string problem = read_argument(args, index, options);
    if (problem.empty()) continue;
    if (!problems.empty()) problems += "\n";
    problems += problem;
  }
  if (!problems.empty()) return fail(Errc::invalid_argument, problems);
  return options;
}

std::string options_help() {
  const Options defaults;
  std::string help;
  for (const Row& row : kRows) {
    std::string line = "  --" + std::string(row.name);
    line.resize(std::max<std::size_t>(line.size() + 1, 18), ' ');
    help += line + std::string(row.help) + bounds_of(row, defaults) + "\n";
  }
  return help;
}

}  // namespace mpr::bench
