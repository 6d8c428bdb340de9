#include "base/keyed_hash.hpp"

#include <bit>
#include <cstring>
#include <random>

namespace mpr {

namespace {

// SipHash with one round per word and three at the end (as hash tables of several languages use
// it), over words: each text is its length followed by its bytes, filled up with zeros.
class SipState {
 public:
  explicit SipState(Hash128 key) noexcept
      : v0_(key.high ^ 0x736f6d6570736575ULL),
        v1_(key.low ^ 0x646f72616e646f6dULL ^ 0xee),
        v2_(key.high ^ 0x6c7967656e657261ULL),
        v3_(key.low ^ 0x7465646279746573ULL) {}

  void feed(std::string_view text) noexcept {
    feed_word(text.size());
    const char* next = text.data();
    std::size_t left = text.size();
    for (; left >= 8; next += 8, left -= 8) {
      std::uint64_t word;
      std::memcpy(&word, next, 8);
      feed_word(word);
    }
    if (left == 0) return;
    std::uint64_t word = 0;
    std::memcpy(&word, next, left);
    feed_word(word);
  }

  Hash128 finish() noexcept {
    Hash128 out;
    v2_ ^= 0xee;
    for (int i = 0; i < 3; ++i) round();
    out.high = v0_ ^ v1_ ^ v2_ ^ v3_;
    v1_ ^= 0xdd;
    for (int i = 0; i < 3; ++i) round();
    out.low = v0_ ^ v1_ ^ v2_ ^ v3_;
    return out;
  }

 private:
  void feed_word(std::uint64_t word) noexcept {
    v3_ ^= word;
    round();
    v0_ ^= word;
  }

  void round() noexcept {
    v0_ += v1_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v3_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ += v3_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v2_ = std::rotl(v2_, 32);
  }

  std::uint64_t v0_;
  std::uint64_t v1_;
  std::uint64_t v2_;
  std::uint64_t v3_;
};

}  // namespace

KeyedHash KeyedHash::random() {
  std::random_device source;
  const auto word = [&source] { return (std::uint64_t{source()} << 32) | source(); };
  Hash128 key;
  key.high = word();
  key.low = word();
  return KeyedHash(key);
}

Hash128 KeyedHash::operator()(std::initializer_list<std::string_view> texts) const noexcept {
  SipState state(key_);
  for (const std::string_view text : texts) state.feed(text);
  return state.finish();
}

}  // namespace mpr
