#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <optional>

#include "app/check_servers.hpp"
#include "app/commands.hpp"
#include "app/configuration.hpp"
#include "app/file_limit.hpp"
#include "app/push_senders.hpp"
#include "app/start_warnings.hpp"
#include "app/system_clock.hpp"
#include "net/listener.hpp"

namespace mpr {

namespace {

namespace fs = std::filesystem;

// Prints findings and remembers whether one of them would stop a start.
class Findings {
 public:
  void good(const std::string& text) { print("ok", text); }
  void bad(const std::string& text) {
    failed_ = true;
    print("FAILED", text);
  }
  void warning(const std::string& text) { print("warning", text); }
  bool failed() const noexcept { return failed_; }

 private:
  static void print(std::string_view kind, const std::string& text) {
    std::cout << std::string(8 - std::min<std::size_t>(8, kind.size()), ' ') << kind << "  " << text
              << "\n";
  }
  bool failed_ = false;
};

void print_options(const Configuration& configuration) {
  std::size_t width = 0;
  for (const Chosen& chosen : configuration.chosen) {
    width = std::max(width, chosen.option->name.size() + 1 + chosen.text.size());
  }
  for (const Chosen& chosen : configuration.chosen) {
    const std::string pair = std::string(chosen.option->name) + "=" + chosen.text;
    std::cout << pair << std::string(width + 2 - pair.size(), ' ') << chosen.where << "\n";
  }
  std::cout << "\n";
}

// The directory itself, or the nearest one above it that exists.
fs::path nearest_existing(const fs::path& path) {
  std::error_code error;
  fs::path at = fs::absolute(path, error);
  while (!at.empty() && !fs::exists(at, error) && at != at.parent_path()) at = at.parent_path();
  return at;
}

// Whether another process holds the lock of a data directory: yields its absence.
bool is_free(const fs::path& lock_file) {
  const int fd = ::open(lock_file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return true;  // no lock file, so nobody ever was there, or may be asked
  const bool free = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  ::close(fd);
  return free;
}

void check_data_directory(const Settings& settings, Findings& findings) {
  const fs::path& directory = settings.data_dir;
  const fs::path existing = nearest_existing(directory);
  std::error_code error;
  if (!fs::is_directory(existing, error)) {
    return findings.bad("data directory " + directory.string() + ": " + existing.string() +
                        " is not a directory");
  }
  if (::access(existing.c_str(), W_OK | X_OK) != 0) {
    return findings.bad("data directory " + directory.string() + ": " + existing.string() +
                        " cannot be written: " + std::strerror(errno));
  }
  if (!is_free(directory / "LOCK")) {
    return findings.bad("data directory " + directory.string() + " is in use by another process");
  }
  const bool there = fs::exists(directory, error);
  findings.good("data directory " + directory.string() +
                (there ? " can be written and is free" : " can be made"));
  const fs::space_info space = fs::space(existing, error);
  if (error) return findings.bad("disk space of " + existing.string() + ": " + error.message());
  const std::string left = std::to_string(space.available >> 20) + " MiB free on its file system";
  // What a new directory takes at once; one in use has it already, and needs the room to work.
  if (space.available < 3 * settings.segment_bytes) {
    return findings.bad(left + ": three files of MPR_SEGMENT_BYTES need " +
                        std::to_string(3 * settings.segment_bytes >> 20) + " MiB");
  }
  findings.good(left);
}

void check_port(const Settings& settings, std::string_view name, std::uint16_t port,
                Findings& findings) {
  const auto listener = Listener::open(settings.bind, port);
  if (!listener) return findings.bad(listener.error().context + " (" + std::string(name) + ")");
  const std::string place =
      settings.bind + " port " + (port == 0 ? "chosen by the system" : std::to_string(port));
  findings.good(std::string(name) + ": " + place + " is free");
}

// Reads the credential files; asks no provider (`mpr push-test` does).
void check_push(const Settings& settings, Findings& findings) {
  SystemClock clock;
  IoThread thread("mpr-push");  // never runs
  const auto opened = open_push_senders(settings, thread, clock);
  if (!opened) return findings.bad(opened.error().context);
  for (const std::string& note : opened->notes) findings.good(note);
  for (const std::string& warning : opened->warnings) findings.warning(warning);
}

}  // namespace

int check_command(std::span<const std::string> args) {
  const Configuration configuration = configure(args, process_environment());
  const Settings& settings = configuration.settings;
  print_options(configuration);
  Findings findings;
  for (const std::string& warning : configuration.warnings) findings.warning(warning);
  for (const std::string& problem : configuration.problems) findings.bad(problem);
  if (findings.failed()) return 1;

  findings.good("configuration");
  raise_file_limit();
  for (const std::string& warning : start_warnings(settings)) findings.warning(warning);
  if (settings.backend == Backend::embedded) check_data_directory(settings, findings);
  if (settings.backend == Backend::redis) {
    check_servers(settings, [&findings](Verdict verdict, const std::string& text) {
      if (verdict == Verdict::good) findings.good(text);
      if (verdict == Verdict::warning) findings.warning(text);
      if (verdict == Verdict::bad) findings.bad(text);
    });
  }
  check_push(settings, findings);
  check_port(settings, "WS_PORT", settings.ws_port, findings);
  check_port(settings, "APP_PORT", settings.app_port, findings);
  return findings.failed() ? 1 : 0;
}

}  // namespace mpr
