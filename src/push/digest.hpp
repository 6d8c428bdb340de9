// The two one-way functions that pushing needs, from libcrypto. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/message.hpp"

namespace mpr {

// Lower-case hexadecimal.
std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256_hex(std::string_view key, std::string_view bytes);

// Names a token in tables, in Redis and between gateways without revealing it: provider, project
// and digest.
std::string token_key_of(const PushToken& token);

}  // namespace mpr
