// Keeps the log lines of a scope instead of printing them. One at a time in a process.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "base/log.hpp"

namespace mpr::test {

class LogCapture {
 public:
  LogCapture() {
    lines().clear();
    log::set_sink([](std::string_view line) {
      std::lock_guard lock(mutex());
      lines().emplace_back(line);
    });
  }
  ~LogCapture() { log::set_sink(nullptr); }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  // The lines that contain `text`.
  std::vector<std::string> with(std::string_view text) const {
    std::lock_guard lock(mutex());
    std::vector<std::string> found;
    for (const std::string& line : lines()) {
      if (line.find(text) != std::string::npos) found.push_back(line);
    }
    return found;
  }

 private:
  static std::mutex& mutex() {
    static std::mutex instance;
    return instance;
  }
  static std::vector<std::string>& lines() {
    static std::vector<std::string> instance;
    return instance;
  }
};

}  // namespace mpr::test
