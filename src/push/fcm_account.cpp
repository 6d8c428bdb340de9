#include "push/fcm_account.hpp"

#include <array>
#include <utility>

#include "push/json_members.hpp"

namespace mpr {

namespace {

// It becomes a part of a URL's path.
bool is_project_id(std::string_view id) {
  return id.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:.") ==
         std::string_view::npos;
}

}  // namespace

Result<FcmAccount> FcmAccount::parse(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !root.is_object()) {
    return fail(Errc::invalid_argument, "is no JSON object");
  }
  std::array<std::string, 4> values;
  static constexpr std::array<std::string_view, 4> kNames = {"project_id", "client_email",
                                                             "token_uri", "private_key"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    auto value = text_member(root, kNames[i]);
    if (!value) return std::unexpected(value.error());
    values[i] = std::move(*value);
  }
  if (!is_project_id(values[0])) {
    return fail(Errc::invalid_argument, "has characters in \"project_id\" that cannot be there");
  }
  auto key = SigningKey::from_pem(SigningAlgorithm::rs256, std::move(values[3]));
  if (!key) {
    return fail(Errc::invalid_argument, "\"private_key\" " + key.error().context);
  }
  return FcmAccount{std::move(values[0]), std::move(values[1]), std::move(values[2]),
                    std::move(*key)};
}

}  // namespace mpr
