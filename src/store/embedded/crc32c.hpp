// CRC-32C (Castagnoli), with the processor's instruction where it has one. Pure, any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace mpr {

// The checksum of `bytes`, continued from `seed` (0, or the checksum of what came before).
std::uint32_t crc32c(std::uint32_t seed, std::string_view bytes) noexcept;

// The same without special instructions: what crc32c() falls back to, and what its test compares.
std::uint32_t crc32c_by_table(std::uint32_t seed, std::string_view bytes) noexcept;

}  // namespace mpr
