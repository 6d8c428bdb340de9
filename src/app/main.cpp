// mpr: one binary, subcommands. This file only finds out which one is meant.
#include <sys/mman.h>
#include <unistd.h>

#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "app/build_info.hpp"
#include "app/commands.hpp"
#include "app/option_docs.hpp"
#include "app/options.hpp"
#include "tools/commands.hpp"

namespace {

using Words = std::span<const std::string>;

bool asks_for_help(Words args) {
  for (const std::string& arg : args) {
    if (arg == "--help" || arg == "-h") return true;
  }
  return false;
}

int help_command(Words args) {
  const bool markdown = !args.empty() && args.front() == "--markdown";
  std::cout << (markdown ? mpr::configuration_reference() : mpr::help_text());
  return 0;
}

int version_command(Words) {
  std::cout << mpr::build_report();
  return 0;
}

struct Subcommand {
  std::string_view name;
  int (*run)(Words args);
  bool own_help;  // it explains its own flags
};

constexpr Subcommand kSubcommands[] = {
    {"serve", mpr::serve_command, false},
    {"check", mpr::check_command, false},
    {"migrate", mpr::migrate_command, true},
    {"push-test", mpr::push_test_command, true},
    {"bench", mpr::bench_command, true},
    {"demo", mpr::demo_command, true},
    {"version", version_command, false},
    {"help", help_command, false},
    {"--version", version_command, false},
    {"--help", help_command, false},
    {"-h", help_command, false},
};

int unknown(const std::string& word) {
  std::vector<std::string_view> names;
  for (const Subcommand& subcommand : kSubcommands) names.push_back(subcommand.name);
  std::cerr << "mpr: unknown subcommand \"" << word << "\"";
  if (const auto near = mpr::nearest(word, names)) std::cerr << "; did you mean " << *near << "?";
  std::cerr << "\nmpr: `mpr help` lists them\n";
  return 2;
}

int run(const std::vector<std::string>& words) {
  if (words.empty()) {
    std::cerr << mpr::help_text();
    return 2;
  }
  const Words args = Words(words).subspan(1);
  for (const Subcommand& subcommand : kSubcommands) {
    if (subcommand.name != words.front()) continue;
    if (!subcommand.own_help && asks_for_help(args)) return help_command({});
    return subcommand.run(args);
  }
  return unknown(words.front());
}

// The MongoDB driver shares its counters under this name as soon as it is loaded. Nobody reads
// them; left in /dev/shm by a kill they would make the next process of the same number complain.
void forget_driver_counters() { shm_unlink(("/mongoc-" + std::to_string(getpid())).c_str()); }

}  // namespace

int main(int argc, char** argv) {
  forget_driver_counters();
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& e) {
    std::cerr << "mpr: " << e.what() << "\n";
    return 1;
  }
}
