// Which of the 16,384 slots of a Redis Cluster a key belongs to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mpr::redis {

inline constexpr std::size_t kSlots = 16'384;

// CRC-16/XMODEM, as the cluster specification says.
std::uint16_t crc16(std::string_view bytes) noexcept;

// Of a key with a hash tag, "a{tag}b", only the tag counts; an empty tag is none.
std::uint16_t slot_of(std::string_view key) noexcept;

}  // namespace mpr::redis
