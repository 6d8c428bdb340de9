#include <algorithm>
#include <fstream>
#include <iostream>
#include <vector>

#include "tools/bench/options.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/scenarios.hpp"
#include "tools/bench/target.hpp"
#include "tools/commands.hpp"

namespace mpr {
namespace {

std::string usage() {
  std::string text =
      "Usage: mpr bench SCENARIO [options]\n\nLoads a gateway and says what it does.\n\n";
  for (const bench::Scenario& scenario : bench::scenarios()) {
    std::string line = "  " + std::string(scenario.name);
    line.resize(12, ' ');
    text += line + std::string(scenario.help) + "\n";
  }
  return text + "\nOptions [default; bounds]\n" + bench::options_help() +
         "\nExit code 1: a call failed, or a message was lost, repeated, changed or overtaken.\n";
}

// One run against its own fresh server, or against the given one.
bench::Report run_once(const bench::Scenario& scenario, const bench::Options& options) {
  auto target = bench::Target::open(options);
  if (!target) {
    bench::Report report(std::string(scenario.name), "not started");
    report.fail(target.error().context);
    return report;
  }
  bench::Report report = scenario.run(options, *target);
  target->describe_start(report);
  const Result<void> closed = target->close();
  if (!closed) report.fail(closed.error().context);
  return report;
}

bool write_json(const std::string& file, const std::string& json) {
  if (file == "-") {
    std::cout << json << std::endl;
    return true;
  }
  std::ofstream out(file, std::ios::trunc);
  out << json << "\n";
  return static_cast<bool>(out.flush());
}

std::string json_of(const bench::Report& median, std::span<const bench::Report> runs) {
  std::string json = R"({"median":)" + bench::to_json(median) + R"(,"runs":[)";
  for (std::size_t i = 0; i < runs.size(); ++i) json += (i ? "," : "") + bench::to_json(runs[i]);
  return json + "]}";
}

int run(const bench::Scenario& scenario, const bench::Options& options) {
  std::vector<bench::Report> runs;
  for (std::uint64_t i = 0; i < options.runs && (i == 0 || runs.back().failure_count() == 0); ++i) {
    runs.push_back(run_once(scenario, options));
    if (options.json_file != "-" && options.runs > 1) {
      std::cout << "run " << i + 1 << " of " << options.runs << ", " << bench::to_table(runs.back())
                << std::endl;
    }
  }
  const bench::Report median = bench::median_of(runs);
  if (options.json_file != "-") {
    std::cout << (options.runs > 1 ? "median, " : "") << bench::to_table(median) << std::flush;
  }
  if (!options.json_file.empty() && !write_json(options.json_file, json_of(median, runs))) {
    std::cerr << "mpr bench: cannot write " << options.json_file << std::endl;
    return 1;
  }
  return median.failure_count() == 0 ? 0 : 1;
}

}  // namespace

int bench_command(std::span<const std::string> args) {
  const bool asks_help = std::ranges::any_of(
      args, [](const std::string& arg) { return arg == "--help" || arg == "-h"; });
  if (asks_help) {
    std::cout << usage();
    return 0;
  }
  const auto options = bench::parse_options(args);
  if (!options) {
    std::cerr << "mpr bench: " << options.error().context << "\nSee mpr bench --help." << std::endl;
    return 2;
  }
  const bench::Scenario* scenario = bench::find_scenario(options->scenario);
  if (scenario == nullptr) {
    std::cerr << (options->scenario.empty() ? "mpr bench: which scenario?"
                                            : "mpr bench: no scenario " + options->scenario)
              << "\n\n"
              << usage();
    return 2;
  }
  return run(*scenario, *options);
}

}  // namespace mpr
