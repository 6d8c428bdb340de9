// Compares secrets without telling by the time it takes how much of a guess was right.
#pragma once

#include <cstddef>
#include <string_view>

namespace mpr {

inline bool is_same_token(std::string_view given, std::string_view expected) noexcept {
  // volatile keeps the compiler from leaving the loop early. The length is no secret.
  volatile unsigned char difference = given.size() == expected.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size() && i < expected.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (given[i] ^ expected[i]));
  }
  return difference == 0;
}

}  // namespace mpr
