#include "store/redis/keys.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace mpr::redis {

namespace {

// FNV-1a, 64 bits, and the finalizer of MurmurHash3, which spreads it over the low bits.
class StableHash {
 public:
  void add(std::string_view bytes) noexcept {
    for (const char c : bytes) {
      state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
  }
  std::uint64_t value() const noexcept {
    std::uint64_t h = state_;
    h = (h ^ (h >> 33U)) * 0xff51afd7ed558ccdULL;
    h = (h ^ (h >> 33U)) * 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 33U);
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325ULL;
};

void append_decimal(std::string& out, std::size_t number) {
  std::array<char, 20> text;
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr);
}

// "{mpr:p0042}": four digits at least, so that keys of usual installations sort well.
void append_tag(std::string& out, std::string_view prefix, std::uint32_t partition) {
  std::array<char, 10> digits;
  const auto count = static_cast<std::size_t>(
      std::to_chars(digits.data(), digits.data() + digits.size(), partition).ptr - digits.data());
  out += '{';
  out += prefix;
  out += ":p";
  if (count < 4) out.append(4 - count, '0');
  out.append(digits.data(), count);
  out += '}';
}

}  // namespace

Keys::Keys(std::string prefix, std::uint32_t partitions)
    : prefix_(std::move(prefix)), partitions_(partitions) {}

std::uint32_t Keys::partition_of(const Connection& connection) const noexcept {
  StableHash hash;
  std::array<char, 20> length;
  const char* end =
      std::to_chars(length.data(), length.data() + length.size(), connection.tenant.value.size())
          .ptr;
  hash.add({length.data(), end});
  hash.add(":");
  hash.add(connection.tenant.value);
  hash.add(connection.id.value);
  return static_cast<std::uint32_t>(hash.value() % partitions_);
}

std::string Keys::queue(const Connection& connection) const {
  return of_connection("q", connection);
}

std::string Keys::session(const Connection& connection) const {
  return of_connection("s", connection);
}

// "{mpr:p0042}:q:<length of the tenant>:<tenant><connection id>": the length keeps ("a", "b") and
// ("ab", "") apart.
std::string Keys::of_connection(std::string_view part, const Connection& connection) const {
  std::string key;
  key.reserve(prefix_.size() + part.size() + connection.tenant.value.size() +
              connection.id.value.size() + 24);
  append_tag(key, prefix_, partition_of(connection));
  key += ':';
  key += part;
  key += ':';
  append_decimal(key, connection.tenant.value.size());
  key += ':';
  key += connection.tenant.value;
  key += connection.id.value;
  return key;
}

std::string Keys::of_partition(std::string_view part, std::uint32_t partition) const {
  std::string key;
  append_tag(key, prefix_, partition);
  key += ':';
  key += part;
  return key;
}

std::string Keys::of_installation(std::string_view part) const {
  return prefix_ + ":" + std::string(part);
}

std::string Keys::gateway_channel(const GatewayId& gateway) const {
  return prefix_ + ":gateway:" + gateway.value;
}

}  // namespace mpr::redis
