#include "core/message.hpp"

namespace mpr {

std::string_view to_string(PushProvider provider) {
  switch (provider) {
    case PushProvider::fcm:
      return "fcm";
    case PushProvider::apns:
      return "apns";
    case PushProvider::webhook:
      return "webhook";
  }
  return "fcm";
}

std::optional<PushProvider> parse_push_provider(std::string_view name) {
  if (name == "fcm") return PushProvider::fcm;
  if (name == "apns") return PushProvider::apns;
  if (name == "webhook") return PushProvider::webhook;
  return std::nullopt;
}

}  // namespace mpr
