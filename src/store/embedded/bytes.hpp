// Writing and reading little-endian numbers and length-prefixed texts, the alphabet of everything
// this store puts on disk. A reader never goes beyond its bytes: it fails, and stays failed.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace mpr {

static_assert(std::endian::native == std::endian::little, "the files are little-endian");

template <class Number>
void put_number(std::string& out, Number value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class Number>
void overwrite_number(std::string& out, std::size_t at, Number value) {
  std::memcpy(out.data() + at, &value, sizeof value);
}

// Seven bits a byte, lowest first.
inline void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

inline constexpr std::size_t kMaxVarint = 10;

inline void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) noexcept : left_(bytes) {}

  template <class Number>
  Number number() noexcept {
    Number value{};
    if (left_.size() < sizeof value) return fail<Number>();
    std::memcpy(&value, left_.data(), sizeof value);
    left_.remove_prefix(sizeof value);
    return value;
  }

  std::uint64_t varint() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !left_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      if (shift == 63 && byte > 1) break;  // more than 64 bits
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return fail<std::uint64_t>();
  }

  std::string_view text() noexcept {
    const std::uint64_t size = varint();
    if (size > left_.size()) return fail<std::string_view>();
    const std::string_view out = left_.substr(0, static_cast<std::size_t>(size));
    left_.remove_prefix(out.size());
    return out;
  }

  bool ok() const noexcept { return ok_; }
  std::string_view left() const noexcept { return left_; }

 private:
  template <class T>
  T fail() noexcept {
    ok_ = false;
    left_ = {};
    return T{};
  }

  std::string_view left_;
  bool ok_ = true;
};

}  // namespace mpr
