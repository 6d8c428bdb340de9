#include "push/apns_identity.hpp"

#include <algorithm>
#include <utility>

#include "push/json_members.hpp"

namespace mpr {

Result<ApnsIdentity> ApnsIdentity::parse(std::string_view json, std::string p8, std::string topic) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !root.is_object()) {
    return fail(Errc::invalid_argument, "APNS_CFG_FILE: is no JSON object");
  }
  auto key_id = text_member(root, "keyId");
  if (!key_id) return fail(Errc::invalid_argument, "APNS_CFG_FILE: " + key_id.error().context);
  auto team_id = text_member(root, "teamId");
  if (!team_id) return fail(Errc::invalid_argument, "APNS_CFG_FILE: " + team_id.error().context);
  bool production = false;
  const auto member = root["production"];
  if (member.error() == simdjson::SUCCESS && member.get(production) != simdjson::SUCCESS) {
    return fail(Errc::invalid_argument, "APNS_CFG_FILE: \"production\" is neither true nor false");
  }
  auto key = SigningKey::from_pem(SigningAlgorithm::es256, std::move(p8));
  if (!key) return fail(Errc::invalid_argument, "APNS_PATH_KEY: " + key.error().context);
  const auto is_printable = [](char c) { return c > ' ' && c < 0x7f; };
  if (topic.empty() || !std::ranges::all_of(topic, is_printable)) {
    return fail(Errc::invalid_argument, "APNS_TOPIC: is no bundle id");
  }
  return ApnsIdentity{std::move(*key_id), std::move(*team_id), production, std::move(*key),
                      std::move(topic)};
}

}  // namespace mpr
