// A Firebase service account, as Google hands it out in a JSON file. Immutable.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "push/signing_key.hpp"

namespace mpr {

struct FcmAccount {
  std::string project_id;
  std::string client_email;
  std::string token_uri;
  SigningKey key;

  // From the file's text. The error says which member is missing or wrong, and shows no value.
  static Result<FcmAccount> parse(std::string_view json);
};

}  // namespace mpr
