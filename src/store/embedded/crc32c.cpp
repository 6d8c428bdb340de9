#include "store/embedded/crc32c.hpp"

#include <array>
#include <cstring>

#if defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

namespace mpr {

namespace {

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// Eight tables, so that eight bytes are folded in one step.
constexpr Tables make_tables() {
  constexpr std::uint32_t kReversedPolynomial = 0x82f63b78U;
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kReversedPolynomial : 0);
    tables[0][i] = crc;
  }
  for (std::size_t t = 1; t < 8; ++t) {
    for (std::size_t i = 0; i < 256; ++i) {
      const std::uint32_t before = tables[t - 1][i];
      tables[t][i] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

using Crc = std::uint32_t (*)(std::uint32_t, std::string_view) noexcept;

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t seed,
                                                               std::string_view bytes) noexcept {
  std::uint64_t crc = ~seed;
  const char* next = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; next += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, next, 8);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; left > 0; ++next, --left) {
    narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(*next));
  }
  return ~narrow;
}

Crc choose() noexcept {
  return __builtin_cpu_supports("sse4.2") ? by_instruction : crc32c_by_table;
}
#elif defined(__aarch64__)
__attribute__((target("crc"))) std::uint32_t by_instruction(std::uint32_t seed,
                                                            std::string_view bytes) noexcept {
  std::uint32_t crc = ~seed;
  const char* next = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; next += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, next, 8);
    crc = __crc32cd(crc, word);
  }
  for (; left > 0; ++next, --left) crc = __crc32cb(crc, static_cast<unsigned char>(*next));
  return ~crc;
}

Crc choose() noexcept {
  return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0 ? by_instruction : crc32c_by_table;
}
#else
Crc choose() noexcept { return crc32c_by_table; }
#endif

}  // namespace

std::uint32_t crc32c_by_table(std::uint32_t seed, std::string_view bytes) noexcept {
  std::uint32_t crc = ~seed;
  const char* next = bytes.data();
  std::size_t left = bytes.size();
  const auto byte_at = [&next](std::size_t i) { return static_cast<unsigned char>(next[i]); };
  for (; left >= 8; next += 8, left -= 8) {
    crc ^= static_cast<std::uint32_t>(byte_at(0)) | static_cast<std::uint32_t>(byte_at(1)) << 8 |
           static_cast<std::uint32_t>(byte_at(2)) << 16 |
           static_cast<std::uint32_t>(byte_at(3)) << 24;
    crc = kTables[7][crc & 0xff] ^ kTables[6][(crc >> 8) & 0xff] ^ kTables[5][(crc >> 16) & 0xff] ^
          kTables[4][crc >> 24] ^ kTables[3][byte_at(4)] ^ kTables[2][byte_at(5)] ^
          kTables[1][byte_at(6)] ^ kTables[0][byte_at(7)];
  }
  for (; left > 0; ++next, --left) crc = (crc >> 8) ^ kTables[0][(crc ^ byte_at(0)) & 0xff];
  return ~crc;
}

std::uint32_t crc32c(std::uint32_t seed, std::string_view bytes) noexcept {
  static const Crc chosen = choose();
  return chosen(seed, bytes);
}

}  // namespace mpr
