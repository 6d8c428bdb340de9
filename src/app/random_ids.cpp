#include "app/random_ids.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace mpr {

namespace {

// The kernel's random bytes, fetched many at a time: a call to it costs more than the rest of an
// id.
class RandomBytes {
 public:
  void copy_to(std::span<unsigned char> out) {
    if (buffer_.size() - used_ < out.size()) refill();
    std::memcpy(out.data(), buffer_.data() + used_, out.size());
    used_ += out.size();
  }

 private:
  void refill() {
    std::size_t have = 0;
    while (have < buffer_.size()) {
      const ssize_t got = getrandom(buffer_.data() + have, buffer_.size() - have, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw std::system_error(errno, std::generic_category(), "getrandom");
      have += static_cast<std::size_t>(got);
    }
    used_ = 0;
  }

  std::array<unsigned char, 1024> buffer_;
  std::size_t used_ = buffer_.size();
};

std::string uuid_text(const std::array<unsigned char, 16>& bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 15];
  }
  return text;
}

}  // namespace

std::string RandomIds::next() const {
  static thread_local RandomBytes random;
  std::array<unsigned char, 16> bytes;
  random.copy_to(std::span(bytes).subspan(6));
  auto milliseconds = static_cast<std::uint64_t>(clock_.now().time_since_epoch().count());
  for (std::size_t i = 6; i-- > 0; milliseconds >>= 8) {
    bytes[i] = static_cast<unsigned char>(milliseconds);
  }
  bytes[6] = static_cast<unsigned char>(0x70 | (bytes[6] & 0x0f));  // version 7
  bytes[8] = static_cast<unsigned char>(0x80 | (bytes[8] & 0x3f));  // variant of RFC 9562
  return uuid_text(bytes);
}

}  // namespace mpr
