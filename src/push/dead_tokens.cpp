#include "push/dead_tokens.hpp"

#include <utility>

namespace mpr {

DeadTokens::DeadTokens(std::size_t capacity, std::chrono::milliseconds remembered)
    : capacity_(capacity), remembered_(remembered) {}

bool DeadTokens::contains(const std::string& token_key, SteadyPoint now) const {
  const auto found = tokens_.find(token_key);
  return found != tokens_.end() && !found->second.doubted && now < found->second.until;
}

void DeadTokens::add(const std::string& token_key, SteadyPoint now) {
  remember(token_key, {now + remembered_, std::nullopt});
}

bool DeadTokens::doubt(const std::string& token_key, TimePoint dead_since, SteadyPoint now) {
  const auto found = tokens_.find(token_key);
  if (found != tokens_.end() && now < found->second.until && found->second.doubted == dead_since) {
    return true;
  }
  remember(token_key, {now + remembered_, dead_since});
  return false;
}

void DeadTokens::remember(const std::string& token_key, Mark mark) {
  by_age_.emplace_back(token_key, mark.until);
  tokens_.insert_or_assign(token_key, mark);
  while (by_age_.size() > capacity_) {
    const auto& [oldest, until] = by_age_.front();
    const auto found = tokens_.find(oldest);
    if (found != tokens_.end() && found->second.until == until) tokens_.erase(found);
    by_age_.pop_front();
  }
}

}  // namespace mpr
