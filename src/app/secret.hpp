// A text that must not be shown: tokens, keys, passwords. It prints as ***; whoever needs the real
// text says so by calling reveal().
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace mpr {

class Secret {
 public:
  static constexpr std::string_view kShown = "***";

  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}

  bool empty() const noexcept { return text_.empty(); }
  std::string_view shown() const noexcept { return empty() ? std::string_view() : kShown; }
  const std::string& reveal() const noexcept { return text_; }

 private:
  std::string text_;
};

}  // namespace mpr
