// A keyed 128-bit hash of a list of texts, for tables that keep no keys: two different lists share
// a hash with a probability of 2^-128, and nobody without the key can choose lists that do.
// Immutable, so any thread may use one. Not a signature.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace mpr {

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  auto operator<=>(const Hash128&) const = default;
};

// For hash tables: the bits are evenly spread already.
struct Hash128Hash {
  using is_avalanching = void;
  std::size_t operator()(const Hash128& h) const noexcept {
    return static_cast<std::size_t>(h.low);
  }
};

class KeyedHash {
 public:
  explicit KeyedHash(Hash128 key) noexcept : key_(key) {}

  // With a key from the system's random source.
  static KeyedHash random();

  // Lists that differ in where one text ends and the next begins have different hashes.
  Hash128 operator()(std::initializer_list<std::string_view> texts) const noexcept;

  const Hash128& key() const noexcept { return key_; }

 private:
  Hash128 key_;
};

}  // namespace mpr
