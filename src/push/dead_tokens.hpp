// Tokens that a provider called dead, so that nobody tries them again for a while. Bounded: the
// oldest are forgotten first. For one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/text.hpp"

namespace mpr {

class DeadTokens {
 public:
  using SteadyPoint = std::chrono::steady_clock::time_point;

  DeadTokens(std::size_t capacity, std::chrono::milliseconds remembered);

  bool contains(const std::string& token_key, SteadyPoint now) const;
  void add(const std::string& token_key, SteadyPoint now);

  // A provider says that the token has been dead since a moment, but it was given to us later and
  // may be alive again. True: it said so before, about the same moment, so it does mean this token.
  bool doubt(const std::string& token_key, TimePoint dead_since, SteadyPoint now);

  std::size_t size() const noexcept { return tokens_.size(); }

 private:
  struct Mark {
    SteadyPoint until;
    std::optional<TimePoint> doubted;  // not dead, only suspected, of having died then
  };
  void remember(const std::string& token_key, Mark mark);

  const std::size_t capacity_;
  const std::chrono::milliseconds remembered_;
  std::unordered_map<std::string, Mark> tokens_;
  std::deque<std::pair<std::string, SteadyPoint>> by_age_;  // key, and the mark's `until`
};

}  // namespace mpr
