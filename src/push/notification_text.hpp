// What a notification shows. An app that got one picks up everything that waits, so all say the
// same.
#pragma once

#include <string>

namespace mpr {

enum class NotificationKind {
  alert,      // the phone shows title and body
  data_only,  // the app is woken in the background and decides what to show
};

struct NotificationText {
  NotificationKind kind = NotificationKind::alert;
  std::string title;
  std::string body;
};

// Under this name a newer notification takes the place of an older one, on Android and on iOS.
inline constexpr std::string_view kCollapseName = "generic-new-messages";

}  // namespace mpr
