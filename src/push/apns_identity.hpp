// Who we are to Apple: the key's id, the team, the key, and the app. Immutable.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "push/signing_key.hpp"

namespace mpr {

struct ApnsIdentity {
  std::string key_id;
  std::string team_id;
  bool production = false;
  SigningKey key;
  std::string topic;  // the app's bundle id

  // From the JSON file {keyId, teamId, production}, the .p8 key's text and the topic. The error
  // says what is missing or wrong, and shows no value.
  static Result<ApnsIdentity> parse(std::string_view json, std::string p8, std::string topic);
};

}  // namespace mpr
